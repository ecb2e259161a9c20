"""The end of an evaluation: parts become results, which replace the old ones.

Without evaluation.json results are nobody's: it goes first, and comes back when
all else is there; only then the parts are removed. So a command that is stopped
on the way never leaves scores under another's name, and the next one finds the
parts.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.evaluation import scores, sounds
from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.previous import Previous
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.evaluation.store import Part, Store
from distortion_removal.report import overview


def complete(plan: Plan, previous: Previous) -> list[dict]:
  """Writes the results of all methods, prints the tables, removes the parts.

  Args:
    plan: of the evaluation.
    previous: results that still hold; of all else there are parts.

  Returns:
    The rows of results.jsonl.

  Raises:
    UserError: parts are missing.
    OSError: the disk is full, or the folder cannot be written.
  """
  names = (*plan.methods, CLEAN)
  stores = {x: plan.store(x) for x in names if x not in previous.methods}
  rows, systems = _merge(plan, previous, stores)
  description = plan.folder / "evaluation.json"
  description.unlink(missing_ok=True)
  with _replaced(plan.folder / "sounds") as folder:
    entries = list(_copied_sounds(plan, previous, stores, folder))
  _write_json(plan.folder / "sounds.json", entries)
  _write_listen(plan, entries)
  path = plan.folder / "systems.jsonl"
  if systems:
    write_whole(path, _lines(systems))
  else:
    path.unlink(missing_ok=True)  # Of results that are no longer there.
  write_whole(plan.folder / "results.jsonl", _lines(rows))
  _write_json(description, _description(plan))
  text = overview.write_overview(plan.folder)
  for name in names:
    shutil.rmtree(plan.parts / name, ignore_errors=True)
  with contextlib.suppress(OSError):  # Others' parts may lie there.
    plan.parts.rmdir()
  print(text)
  print(f"listen to {plan.folder / 'listen'}, look at {plan.folder}")
  return rows


def _merge(
  plan: Plan, previous: Previous, stores: dict[str, Store]
) -> tuple[list[dict], list[dict]]:
  """The rows of all excerpts in order, and those of metrics of sets."""
  levels = plan.task.evaluation_levels
  fields = {"dataset": plan.label, "task": plan.task.name}
  settings = {x: metrics.get(x).settings for x in plan.metrics}
  end = {"settings": settings}
  rows, found = [], scores.Systems(levels)
  for block in plan.blocks():
    parts = {x: _load(plan, x, store, block) for x, store in stores.items()}
    for k, excerpt in enumerate(block):
      if CLEAN in parts:
        found.add_target(parts[CLEAN].embeddings[k])
      for name in plan.methods:
        if name in parts:
          part = parts[name]
          rows += [fields | row | end for row in part.entries[k]["rows"]]
          found.add(name, part.embeddings[k])
        else:
          start = excerpt.index * len(levels)
          rows += previous.rows[name][start : start + len(levels)]
  new: dict[str, list[dict]] = {}
  for row in found.rows(plan.level_name):
    new.setdefault(row["method"], []).append(fields | row | end)
  of_methods = [new.get(x, previous.systems.get(x, [])) for x in plan.methods]
  return rows, [row for found in of_methods for row in found]


def _load(
  plan: Plan, name: str, store: Store, block: Sequence[Excerpt]
) -> Part:
  """All that a method has of a block."""
  whole = Part([], [])
  for group in plan.groups(name, block):
    part = store.load(group)
    if part is None:
      raise UserError(
        f"{store.folder}: no scores of {group[0].file}; all processes of an "
        "evaluation must have the same --workdir, on a disk that they share"
      )
    whole.entries.extend(part.entries)
    whole.embeddings.extend(part.embeddings)
  return whole


def _copied_sounds(
  plan: Plan, previous: Previous, stores: dict[str, Store], folder: Path
) -> Iterator[dict]:
  """Copies sounds into `folder`; yields the entries of sounds.json."""
  for name in (*plan.methods, CLEAN):
    if name not in stores:
      for entry in previous.sounds[name]:
        source = plan.folder / entry["path"]
        shutil.copyfile(source, folder / source.name)
        yield entry
      continue
    for block in plan.blocks():
      if block[0].index >= plan.config.listen_excerpts:
        break
      part = _load(plan, name, stores[name], block)
      for excerpt, entry in zip(block, part.entries, strict=True):
        for sound in entry["sounds"]:
          source = stores[name].folder / sound["path"]
          shutil.copyfile(source, folder / source.name)
          path = f"sounds/{source.name}"
          yield {"file": excerpt.file} | sound | {"path": path}


def _write_listen(plan: Plan, entries: Sequence[dict]) -> None:
  """Writes the sounds of the middle level, equally loud."""
  levels = plan.task.evaluation_levels
  heard = (levels[len(levels) // 2], None)
  with _replaced(plan.folder / "listen") as folder:
    for excerpt in plan.excerpts[: plan.config.listen_excerpts]:
      audio: dict[str, np.ndarray] = {
        entry["method"]: sounds.read(plan.folder, entry)
        for entry in entries
        if entry["file"] == excerpt.file and entry["level"] in heard
      }
      if audio:
        overview.write_sounds(
          folder, excerpt.index, audio, plan.task, plan.sample_rate
        )


@contextlib.contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
  """A new folder that takes the place of an old one once it is complete."""
  partial = folder.with_name(f".{folder.name}.partial")
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _description(plan: Plan) -> dict:
  """The content of evaluation.json."""
  return {
    "dataset": plan.label,
    "task": plan.task.name,
    "task_label": plan.task.label,
    "level_name": plan.level_name,
    "levels": plan.task.evaluation_levels,
    "sample_rate": plan.sample_rate,
    "channels": plan.config.data.channels,
    "excerpts": len(plan.excerpts),
    "network": plan.network,
    "methods": list(plan.methods),
    "left_out": plan.left_out,
    "metrics": plan.metrics,
    "metrics_left_out": plan.metrics_left_out,
    "fingerprints": plan.whole_fingerprints(),
  }


def _write_json(path: Path, content: object) -> None:
  write_whole(path, json.dumps(content, indent=1) + "\n")


def _lines(rows: Sequence[dict]) -> str:
  return "".join(json.dumps(row) + "\n" for row in rows)
