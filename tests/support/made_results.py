"""Evaluation folders as `evaluate` leaves them, with scores of one's choice."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# By method, by level, by excerpt.
Scores = Mapping[str, Mapping[float, Sequence[float | None]]]

SETTINGS = {"si_sdr": "mean kept", "fad": "VGGish"}


def make_rows(
  scores: Scores,
  *,
  metric: str = "si_sdr",
  level_name: str = "gain_db",
  task: str = "overdrive",
  dataset: str = "guitar",
) -> list[dict]:
  """Rows of results.jsonl: excerpts are called test/0, test/1, ..."""
  return [
    {
      "dataset": dataset,
      "task": task,
      "file": f"test/{i}",
      "audio_seconds": 2.0,
      "method": method,
      "compute_seconds": 0.25,
      "metric_seconds": 0.5,
      "settings": SETTINGS,
      level_name: level,
      metric: score,
    }
    for method, by_level in scores.items()
    for level, column in by_level.items()
    for i, score in enumerate(column)
  ]


def write_evaluation(
  run: Path,
  rows: Sequence[dict],
  *,
  systems: Sequence[dict] = (),
  card: Mapping[str, Any] | None = None,
  sounds: Sequence[dict] | None = None,
) -> Path:
  """Writes an evaluation into a run's folder; returns the evaluation's.

  Args:
    run: the run's folder.
    rows: of results.jsonl.
    systems: of systems.jsonl.
    card: evaluation.json; None: an older version's results, that have none.
    sounds: of sounds.json, likewise; the sound files are written empty.
  """
  folder = run / "evaluation" / f"{rows[0]['dataset']}_{rows[0]['task']}"
  folder.mkdir(parents=True)
  write_lines(folder / "results.jsonl", rows)
  if systems:
    write_lines(folder / "systems.jsonl", systems)
  if card is not None:
    (folder / "evaluation.json").write_text(json.dumps(card))
  if sounds is not None:
    (folder / "sounds.json").write_text(json.dumps(sounds))
    for sound in sounds:
      path = folder / sound["path"]
      path.parent.mkdir(exist_ok=True)
      path.touch()
  return folder


def write_lines(path: Path, rows: Sequence[dict]) -> None:
  """Writes a JSON line per row."""
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
