"""Reads what an evaluation or a timing left, one folder at a time."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distortion_removal import effects, metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks

_ROWS = "results.jsonl"
_TIMINGS = "timing.jsonl"


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What lies in one evaluation folder.

  Attributes:
    folder: the evaluation's own.
    run: the folder of the run that was evaluated.
    card: evaluation.json; empty of versions that did not write it.
    task: name.
    dataset: label.
    level_name: the column that holds the level.
    rows: of results.jsonl.
    systems: of systems.jsonl.
    sounds: of sounds.json.
  """

  folder: Path
  run: Path
  card: Mapping[str, Any]
  task: str
  dataset: str
  level_name: str
  rows: Sequence[dict]
  systems: Sequence[dict]
  sounds: Sequence[dict]


def find(folder: Path) -> list[Path]:
  """The evaluation folders in a run's folder, or the folder itself.

  Raises:
    UserError: there is none.
  """
  if (folder / _ROWS).is_file():
    return [folder]
  for pattern in (f"evaluation/*/{_ROWS}", f"*/{_ROWS}"):
    found = sorted(path.parent for path in folder.glob(pattern))
    if found:
      return found
  raise UserError(
    f"{folder}: no evaluation here (evaluation/*/{_ROWS} is missing); give the "
    "folder of a run that has been evaluated with --mode=evaluate"
  )


def read(folder: Path) -> Evaluation:
  """Reads an evaluation folder.

  Raises:
    UserError: a file is damaged; the message has the line, and what to do.
  """
  card = _read_card(folder / "evaluation.json")
  rows = list(_read_rows(folder / _ROWS))
  if not rows:
    raise UserError(f"{folder / _ROWS}: no results; evaluate again")
  task, dataset = rows[0]["task"], rows[0]["dataset"]
  level_name = card.get("level_name") or _level_name(task, rows[0], folder)
  _check(rows, folder / _ROWS, task, dataset, level_name, ("file",))
  path = folder / "systems.jsonl"
  systems = list(_read_rows(path)) if path.is_file() else []
  _check(systems, path, task, dataset, level_name, ())
  return Evaluation(
    folder=folder,
    run=run_folder(folder),
    card=card,
    task=task,
    dataset=dataset,
    level_name=level_name,
    rows=rows,
    systems=systems,
    sounds=_read_sounds(folder / "sounds.json"),
  )


def run_folder(folder: Path) -> Path:
  """The run that an evaluation folder belongs to; itself if it was moved."""
  folder = folder.resolve()
  return folder.parents[1] if folder.parent.name == "evaluation" else folder


def read_timings(folder: Path) -> list[dict]:
  """The rows of a run's timing.jsonl; none where it has not been timed.

  Args:
    folder: of the run, or one of its evaluations.

  Raises:
    UserError: the file is damaged.
  """
  path = folder / _TIMINGS
  if not path.is_file():
    path = run_folder(folder) / _TIMINGS
  if not path.is_file():
    return []
  rows = list(_read_rows(path))
  for number, row in enumerate(rows, start=1):
    for name in ("device", "seconds_per_second"):
      if name not in row:
        raise _damaged(path, number, f"it has no {name!r}")
  return rows


def has_failed(row: Mapping) -> bool:
  """Whether a row of results.jsonl tells of a method that failed.

  A row that has any score does not, whatever its error says: then a metric has
  failed, and is undefined.
  """
  return bool(row.get("error")) and all(
    row.get(name) is None for name in metrics.METRICS
  )


def _read_rows(path: Path) -> Iterator[dict]:
  """Yields the row of each line; what all rows share, they share here too."""
  shared: Any = None
  with open(path, encoding="utf-8", errors="replace") as file:
    for number, line in enumerate(file, start=1):
      try:
        row = json.loads(line)
      except ValueError as error:
        raise _damaged(path, number, str(error)) from None
      if not isinstance(row, dict) or not isinstance(row.get("method"), str):
        raise _damaged(path, number, "it names no method")
      if "settings" in row:
        if row["settings"] != shared:
          shared = row["settings"]
        row["settings"] = shared
      yield row


def _damaged(path: Path, number: int, reason: str) -> UserError:
  return UserError(
    f"{path}, line {number}: not a result ({reason}); delete that line or "
    "evaluate again"
  )


def _level_name(task: str, row: Mapping, folder: Path) -> str:
  """The level's column by the task, or for an unknown one by its name."""
  if task in tasks.TASKS:
    return effects.get(tasks.get(task).effect).level_name
  for effect in effects.EFFECTS.values():
    if effect.level_name in row:
      return effect.level_name
  raise UserError(
    f"{folder / _ROWS}: no level in the results of the unknown task {task!r}; "
    "evaluate again with this version"
  )


def _check(
  rows: Sequence[dict],
  path: Path,
  task: str,
  dataset: str,
  level_name: str,
  needed: Sequence[str],
) -> None:
  """Raises UserError at a row that tables could not be made of."""
  names = list(metrics.METRICS)
  for number, row in enumerate(rows, start=1):
    if (row.get("task"), row.get("dataset")) != (task, dataset):
      raise _damaged(path, number, f"it is not of {task!r} on {dataset!r}")
    for name in needed:
      if name not in row:
        raise _damaged(path, number, f"it has no {name!r}")
    level = row.get(level_name, "")
    is_level = _is_number(level) and math.isfinite(level)
    if not is_level and (level is not None or needed):
      raise _damaged(path, number, f"{level_name!r} is not a number")
    for name in names:
      if name in row and row[name] is not None and not _is_number(row[name]):
        raise _damaged(path, number, f"{name!r} is not a number")


def _is_number(value: object) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)


def _read_card(path: Path) -> dict:
  card = _read_json(path, {})
  is_card = isinstance(card, dict) and all(
    isinstance(card.get(field) or {}, dict)
    for field in ("left_out", "metrics_left_out")
  )
  if not is_card:
    raise UserError(f"{path}: not a description; delete it or evaluate again")
  return card


def _read_sounds(path: Path) -> list[dict]:
  """The sounds that are there; each with its path made absolute."""
  found = []
  folder = path.parent.resolve()
  try:
    for sound in _read_json(path, []):
      place = (folder / sound["path"]).resolve()
      if not (place.is_relative_to(folder) and place.is_file()):
        logger.warning("%s: no sound file %s", path, sound["path"])
        continue
      level = sound["level"]
      found.append(
        {
          "file": str(sound["file"]),
          "method": str(sound["method"]),
          "level": None if level is None else float(level),
          "path": place,
          "scale": float(sound.get("scale", 1.0)),
        }
      )
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise UserError(
      f"{path}: not a list of sounds ({error!r}); delete it or evaluate again"
    ) from None
  return found


def _read_json(path: Path, default: Any) -> Any:
  if not path.is_file():
    return default
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise UserError(
      f"{path}: not JSON ({error}); delete it or evaluate again"
    ) from None
