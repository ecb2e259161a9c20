"""What the page shows: which sounds, called what, with which scores."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from distortion_removal import metrics
from distortion_removal.effects import tasks
from distortion_removal.report.methods import CLEAN, DISTORTED, method_label
from distortion_removal.report.results import Results, Sound
from distortion_removal.report.styles import styles
from distortion_removal.report.tables import by_level

_LOUDNESS_LUFS = -19.0  # Of tasks that nobody knows.


@dataclasses.dataclass(frozen=True)
class Table:
  """One task's part of the page.

  Attributes:
    results: of the task.
    key: names the task's folder; unique.
    versions: keys of the columns: distorted, the target, then methods.
    files: names of the excerpts.
    sounds: by (file, version, level); level None holds for all levels.
    loudness_lufs: of every sound.
  """

  results: Results
  key: str
  versions: tuple[str, ...]
  files: tuple[str, ...]
  sounds: Mapping[tuple[str, str, float | None], Sound]
  loudness_lufs: float

  def target(self, file: str) -> Sound:
    """The excerpt's target, or what comes nearest."""
    own = [sound for key, sound in self.sounds.items() if key[0] == file]
    return next((sound for sound in own if sound.method == CLEAN), own[0])

  def stem(self, sound: Sound) -> str:
    """Where a sound goes, relative to the page, without a suffix."""
    version = self.versions.index(sound.method)
    level = "" if sound.level is None else f"-{sound.level:g}"
    level = level.replace(".", "_")  # What follows a dot is a suffix.
    name = f"{version}-{slug(sound.method)}{level}"
    return f"sounds/{self.key}/{self.files.index(sound.file):02d}/{name}"


def slug(name: str) -> str:
  """A short file name of plain letters, safe in any address."""
  return re.sub(r"[^a-z0-9]+", "-", name.lower())[:20].strip("-")


def arrange(
  results: Sequence[Results],
  *,
  loudness_lufs: float | None,
  excerpts: int | None,
) -> list[Table]:
  """The page's tables, of those results that have sounds.

  Args:
    results: one per task and data set.
    loudness_lufs: of every sound; None takes the task's own.
    excerpts: how many of each at most; None takes all.
  """
  found = []
  for i, result in enumerate(results):
    if not result.sounds:
      continue
    files = tuple(dict.fromkeys(sound.file for sound in result.sounds))
    files = files[:excerpts]
    task = tasks.TASKS.get(result.task)
    own_lufs = task.loudness_lufs if task else _LOUDNESS_LUFS
    found.append(
      Table(
        results=result,
        key=f"{i + 1}-{slug(result.task)}".rstrip("-"),
        versions=_versions(result),
        files=files,
        sounds={
          (sound.file, sound.method, sound.level): sound
          for sound in result.sounds
          if sound.file in files
        },
        loudness_lufs=own_lufs if loudness_lufs is None else loudness_lufs,
      )
    )
  return found


def _versions(result: Results) -> tuple[str, ...]:
  heard = {sound.method for sound in result.sounds}
  first = [name for name in (DISTORTED, CLEAN) if name in heard]
  # What only has sounds comes last: results of a table's own making.
  names = [*first, *result.methods, *result.left_out, *sorted(heard)]
  return tuple(dict.fromkeys(names))


def describe(
  table: Table, clips: Mapping[Sound, dict], stretches: Mapping[str, dict]
) -> dict:
  """One task's part of the page as JSON has it.

  Args:
    table: of the task.
    clips: what is known of each sound once it is written.
    stretches: what is known of each excerpt.
  """
  result = table.results
  shown = _metrics(result)
  rows = {
    (row["file"], row["method"], row[result.level_name]): row
    for row in result.rows
    if row["file"] in table.files
  }
  colours = styles(name for name in table.versions if name != CLEAN)
  return {
    "name": table.key,
    "label": result.task_label,
    "dataset": result.dataset,
    "level": {"label": result.level_label, "unit": result.level_unit},
    "levels": [f"{level:g}" for level in _levels(table)],
    "lufs": f"{table.loudness_lufs:g}",
    "metrics": [
      {
        "label": metric.label,
        "unit": metric.unit,
        "direction": metric.direction,
      }
      for metric in shown.values()
    ],
    "versions": [
      {
        "label": "target" if name == CLEAN else method_label(name),
        "colour": None if name == CLEAN else colours[name].colour,
      }
      for name in table.versions
    ],
    "excerpts": [
      {
        "name": file,
        **stretches[file],
        "cells": [
          _once(
            _cell(table, (file, version, level), rows, shown, clips)
            for level in _levels(table)
          )
          for version in table.versions
        ],
      }
      for file in table.files
    ],
  }


def _once(cells: Iterable[dict]) -> list[dict]:
  """The cells of all levels; one if they are alike, as the target's are."""
  cells = list(cells)
  return cells[:1] if all(cell == cells[0] for cell in cells) else cells


def _levels(table: Table) -> tuple[float, ...]:
  heard = {level for _, _, level in table.sounds if level is not None}
  return tuple(sorted(heard.union(table.results.levels)))


def _metrics(result: Results) -> dict[str, metrics.Metric]:
  """Those that one sound has; metrics of sets are for the tables."""
  known = {name: metrics.METRICS.get(name) for name in result.metrics}
  return {name: m for name, m in known.items() if m and m.embed is None}


def _cell(
  table: Table,
  key: tuple[str, str, float],
  rows: Mapping[tuple, dict],
  shown: Mapping[str, metrics.Metric],
  clips: Mapping[Sound, dict],
) -> dict:
  """A player with its scores, or the reason why there is none."""
  file, version, _ = key
  row = rows.get(key, {})
  sound = table.sounds.get(key) or table.sounds.get((file, version, None))
  if version in table.results.left_out and not sound:
    return {"gap": table.results.left_out[version]}
  if not sound:
    # With a sound, what failed is a metric.
    error = row.get("error")
    return {"gap": f"failed: {error}" if error else "no sound was kept"}
  if version == CLEAN or not row:
    return clips[sound]
  scores = [by_level.text(row.get(name), m) for name, m in shown.items()]
  return {**clips[sound], "scores": scores}
