"""What of the last evaluation holds, so that it need not be done again."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from distortion_removal.evaluation import scores
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.report import failures


class Previous(NamedTuple):
  """The last results of methods that have not changed since.

  Attributes:
    rows: by method, of every excerpt and level in order.
    systems: by method.
    sounds: entries of sounds.json, by method and the target.
  """

  rows: dict[str, list[dict]]
  systems: dict[str, list[dict]]
  sounds: dict[str, list[dict]]

  @property
  def methods(self) -> set[str]:
    """That need not be scored; the target among them if nothing needs it."""
    return self.rows.keys() | self.sounds.keys() & {CLEAN}


NONE = Previous({}, {}, {})


def load(plan: Plan) -> Previous:
  """The last results in the folder of a plan that still hold.

  Those of a method in which anything failed do not: it is tried again.
  """
  try:
    found = json.loads((plan.folder / "evaluation.json").read_text())
    before = dict(found["fingerprints"])
    rows = _by_method(_lines(plan.folder / "results.jsonl"))
    systems = _by_method(_lines(plan.folder / "systems.jsonl"))
    sounds = _by_method(json.loads((plan.folder / "sounds.json").read_text()))
  except (OSError, ValueError, KeyError, TypeError):
    return NONE  # None, or of an earlier version.
  now = plan.whole_fingerprints()
  levels, sets = len(plan.task.evaluation_levels), scores.of_sets(plan.metrics)
  kept = [
    name
    for name in plan.methods
    if before.get(name) == now[name]
    and len(rows.get(name, ())) == levels * len(plan.excerpts)
    and len(systems.get(name, ())) == (levels + 1 if sets else 0)
    and not any(failures.of(row) for row in rows[name])
    and _are_there(plan.folder, sounds.get(name, ()))
  ]
  # What is scored anew may be compared with the target as a set.
  needs_target = sets and len(kept) < len(plan.methods)
  if (
    not needs_target
    and before.get(CLEAN) == now[CLEAN]
    and _are_there(plan.folder, sounds.get(CLEAN, ()))
  ):
    kept.append(CLEAN)
  return Previous(
    {name: rows[name] for name in kept if name in rows},
    {name: systems.get(name, []) for name in kept},
    {name: sounds.get(name, []) for name in kept},
  )


def _lines(path: Path) -> list[dict]:
  if not path.exists():  # Not all evaluations have metrics of sets.
    return []
  with open(path) as file:
    return [json.loads(line) for line in file]


def _by_method(rows: Iterable[dict]) -> dict[str, list[dict]]:
  found: dict[str, list[dict]] = {}
  for row in rows:
    found.setdefault(row["method"], []).append(row)
  return found


def _are_there(folder: Path, sounds: Iterable[dict]) -> bool:
  return all((folder / entry["path"]).is_file() for entry in sounds)
