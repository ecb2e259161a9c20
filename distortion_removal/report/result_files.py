"""Reads what an evaluation or a timing left, one folder at a time."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distortion_removal.common.errors import UserError

_ROWS = "results.jsonl"


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """The content of one evaluation folder."""

  folder: Path
  run: Path  # the folder of the run that was evaluated
  card: Mapping[str, Any]  # evaluation.json
  rows: list[dict]  # results.jsonl, without `settings`
  systems: list[dict]  # systems.jsonl, likewise; [] without a metric of sets
  settings: Mapping[str, str]  # what a reader must know of each metric
  sounds: list[dict]  # sounds.json


def find_evaluations(folder: Path) -> list[Path]:
  """Returns the evaluation folders in a run's folder, or the folder itself."""
  if (folder / _ROWS).is_file():
    return [folder]
  for pattern in (f"evaluation/*/{_ROWS}", f"*/{_ROWS}"):
    if found := sorted(path.parent for path in folder.glob(pattern)):
      return found
  raise UserError(
    f"{folder}: no evaluation here (evaluation/*/{_ROWS} is missing); give the "
    "folder of a run that has been evaluated with --mode=evaluate"
  )


def read_evaluation(folder: Path) -> Evaluation:
  """Reads an evaluation folder; UserError names what is damaged or missing."""
  rows = _read_lines(folder / _ROWS)
  path = folder / "systems.jsonl"
  systems = _read_lines(path) if path.is_file() else []
  settings: dict[str, str] = {}
  for row in (*rows, *systems):
    settings |= row.pop("settings", {})
  return Evaluation(
    folder=folder,
    run=run_folder(folder),
    card=_read_json(folder / "evaluation.json"),
    rows=rows,
    systems=systems,
    settings=settings,
    sounds=_read_json(folder / "sounds.json"),
  )


def run_folder(folder: Path) -> Path:
  """Returns the run of an evaluation folder; itself if it was moved."""
  folder = folder.resolve()
  return folder.parents[1] if folder.parent.name == "evaluation" else folder


def read_timings(run: Path) -> list[dict]:
  """Reads a run's timing.jsonl; empty where it has not been timed."""
  path = run / "timing.jsonl"
  return _read_lines(path, mode="time") if path.is_file() else []


def _read_lines(path: Path, mode: str = "evaluate") -> list[dict]:
  with open(path, encoding="utf-8", errors="replace") as file:
    return [
      _parse(line, f"{path}, line {number}", mode)
      for number, line in enumerate(file, start=1)
    ]


def _read_json(path: Path) -> Any:
  if not path.is_file():
    reason = "is missing: the evaluation is not complete"
    raise UserError(f"{path} {reason}; run --mode=evaluate again")
  return _parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def _parse(text: str, place: str, mode: str = "evaluate") -> Any:
  try:
    return json.loads(text)
  except ValueError as error:
    message = f"{place}: damaged ({error}); run --mode={mode} again"
    raise UserError(message) from None
