"""The page's contents: which sounds, called what, with which scores."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from distortion_removal import metrics
from distortion_removal.effects import tasks
from distortion_removal.report.methods import (
  CLEAN,
  DISTORTED,
  Style,
  method_label,
  styles,
)
from distortion_removal.report.results import Results, Sound

_LOUDNESS_LUFS = -19.0  # of tasks whose effect has options
_FILES = (
  *("look.css", "page.css", "player.js", "controls.js", "table.js"),
  *("blind.js", "keys.js", "page.js"),
)
# Characters that could end the script element of the data, or a line of it.
_ESCAPES = {
  ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"
}


@dataclasses.dataclass(frozen=True)
class PageTask:
  """One task's part of the page."""

  results: Results
  key: str  # names the task's folder; unique
  versions: tuple[str, ...]  # columns: distorted, the target, then methods
  files: tuple[str, ...]  # names of the excerpts
  # By (file, version, level); level None holds for all levels.
  sounds: Mapping[tuple[str, str, float | None], Sound]
  loudness_lufs: float  # of every sound
  looks: Mapping[str, Style]  # of methods, as in the figures

  def versions_of(self, file: str) -> list[Sound]:
    """Returns all sounds of an excerpt."""
    return [sound for sound in self.sounds.values() if sound.file == file]

  def target(self, file: str) -> Sound:
    """Returns the excerpt's target, or what comes nearest."""
    own = self.versions_of(file)
    return next((sound for sound in own if sound.method == CLEAN), own[0])

  def stem(self, sound: Sound) -> str:
    """Returns a sound's place, relative to the page, without a suffix."""
    version = self.versions.index(sound.method)
    level = "" if sound.level is None else f"-{sound.level:g}"
    level = level.replace(".", "_")  # A dot would begin a suffix.
    name = f"{version}-{_slug(sound.method)}{level}"
    return f"sounds/{self.key}/{self.files.index(sound.file):02d}/{name}"


def _slug(name: str) -> str:
  """Returns a short file name of plain letters, safe in any address."""
  return re.sub(r"[^a-z0-9]+", "-", name.lower())[:20].strip("-")


def arrange(
  results: Sequence[Results], loudness_lufs: float | None, excerpts: int | None
) -> list[PageTask]:
  """Returns the page's tasks, of those results that have sounds."""
  looks = styles(method for one in results for method in one.methods)
  found = []
  for i, result in enumerate(results):
    if not result.sounds:
      continue
    files = tuple(dict.fromkeys(s.file for s in result.sounds))[:excerpts]
    sounds = [sound for sound in result.sounds if sound.file in files]
    task = tasks.TASKS.get(result.task)
    own_lufs = task.loudness_lufs if task else _LOUDNESS_LUFS
    found.append(
      PageTask(
        results=result,
        key=f"{i + 1}-{_slug(result.task)}".rstrip("-"),
        versions=_versions(result),
        files=files,
        sounds={(s.file, s.method, s.level): s for s in sounds},
        loudness_lufs=own_lufs if loudness_lufs is None else loudness_lufs,
        looks=looks,
      )
    )
  return found


def _versions(result: Results) -> tuple[str, ...]:
  heard = {sound.method for sound in result.sounds}
  first = [name for name in (DISTORTED, CLEAN) if name in heard]
  return tuple(dict.fromkeys([*first, *result.methods, *result.left_out]))


def describe(
  task: PageTask, written: Mapping[Sound, dict], stretches: Mapping[str, dict]
) -> dict:
  """Returns a task for JSON, with each sound's and each excerpt's facts."""
  result = task.results
  scored = {
    name: metrics.get(name)
    for name in result.metrics
    if metrics.get(name).embed is None  # Metrics of sets are for the tables.
  }
  rows = {
    (row["file"], row["method"], row[result.level_name]): row
    for row in result.rows
    if row["file"] in task.files
  }
  return {
    "label": result.task_label,
    "dataset": result.dataset,
    "level": {"label": result.level_label, "unit": result.level_unit},
    "levels": [f"{level:g}" for level in result.levels],
    "lufs": f"{task.loudness_lufs:g}",
    "metrics": [
      {"label": m.label, "unit": m.unit, "direction": m.direction}
      for m in scored.values()
    ],
    "versions": [
      {
        "label": "target" if name == CLEAN else method_label(name),
        "colour": task.looks[name].colour if name in task.looks else None,
      }
      for name in task.versions
    ],
    "excerpts": [
      {
        "name": file,
        **stretches[file],
        "cells": [
          _once(
            _cell(task, (file, version, level), rows, scored, written)
            for level in result.levels
          )
          for version in task.versions
        ],
      }
      for file in task.files
    ],
  }


def _once(cells: Iterable[dict]) -> list[dict]:
  """Returns the cells of all levels; one if all are alike, as the target's."""
  cells = list(cells)
  return cells[:1] if all(cell == cells[0] for cell in cells) else cells


def _cell(
  task: PageTask,
  key: tuple[str, str, float],
  rows: Mapping[tuple, dict],
  scored: Mapping[str, metrics.Metric],
  written: Mapping[Sound, dict],
) -> dict:
  """Returns a player with its scores, or the reason why there is none."""
  file, version, _ = key
  row = rows.get(key, {})
  sound = task.sounds.get(key) or task.sounds.get((file, version, None))
  if sound and row:
    scores = [m.text(row.get(name)) for name, m in scored.items()]
    return {**written[sound], "scores": scores}
  if sound:
    return written[sound]
  if version in task.results.left_out:
    return {"gap": task.results.left_out[version]}
  error = row.get("error")
  return {"gap": f"failed: {error}" if error else "no sound was kept"}


def write(folder: Path, data: dict) -> None:
  """Writes index.html and the files it needs, once the sounds are there."""
  own = resources.files(__package__)
  for name in _FILES:
    (folder / name).write_bytes((own / name).read_bytes())
  page = (own / "page.html").read_text(encoding="utf-8")
  page = page.replace("$data", embedded(data))
  (folder / "index.html").write_text(
    page, encoding="utf-8", errors="backslashreplace"
  )


def embedded(data: dict) -> str:
  """Returns JSON that can stand in a script element, whatever it holds."""
  text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
  return text.translate(_ESCAPES)
