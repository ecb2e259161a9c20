"""Results: all files of an evaluation's folder, derived from stored scores.

The folder is replaced as a whole, so that a command that is stopped leaves the
old results, and never some of either.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import one_line, replacing
from distortion_removal.common.log import say
from distortion_removal.evaluation.plan import Plan
from distortion_removal.evaluation.scores import Systems
from distortion_removal.evaluation.store import read_sound
from distortion_removal.report import overview
from distortion_removal.report.methods import CLEAN


def write_results(plan: Plan) -> list[dict]:
  """Writes all results and prints the tables; returns results.jsonl's rows.

  Raises:
    UserError: scores are missing.
    OSError: the disk is full, or the folder cannot be written.
  """
  with replacing(plan.folder) as folder:
    (folder / "sounds").mkdir(parents=True)
    rows, systems, sounds = _collect(plan, folder)
    _write_lines(folder / "results.jsonl", rows)
    if systems:
      _write_lines(folder / "systems.jsonl", systems)
    description = _description(plan)
    for name, content in (("sounds", sounds), ("evaluation", description)):
      text = json.dumps(content, indent=1) + "\n"
      (folder / f"{name}.json").write_text(text)
    _write_listen(plan, folder, sounds)
    text = overview.write_overview(folder)
  say(text)
  listen, folder = one_line(plan.folder / "listen"), one_line(plan.folder)
  say(f"listen to {listen}, look at {folder}")
  return rows


def _collect(
  plan: Plan, folder: Path
) -> tuple[list[dict], list[dict], list[dict]]:
  """Gathers rows of excerpts, rows of metrics of sets, and sounds."""
  start = {"dataset": plan.label, "task": plan.task.name}
  end = {"settings": {x: metrics.get(x).settings for x in plan.metrics}}
  rows, systems = [], Systems(plan.task.evaluation_levels)
  sounds: dict[str, list[dict]] = {name: [] for name in plan.stores}
  for excerpt in plan.excerpts:
    for name, store in plan.stores.items():
      stored = store.load(excerpt)
      if stored is None:
        raise UserError(
          f"{store.folder}: no scores of {excerpt.file}; all processes of an "
          "evaluation must have the same --workdir, on a disk that they share"
        )
      rows += [start | row | end for row in stored.rows]
      if name == CLEAN:
        systems.add_target(stored.embeddings)
      else:
        systems.add(name, stored.embeddings)
      for sound in stored.sounds:
        path = f"sounds/{sound['path']}"
        _link(store.folder / sound["path"], folder / path)
        sounds[name].append({"file": excerpt.file} | sound | {"path": path})
  of_sets = [start | row | end for row in systems.rows(plan.level_name)]
  order = list(plan.methods)  # A method may have failed on the first excerpts.
  of_sets.sort(key=lambda row: order.index(row["method"]))
  return rows, of_sets, [sound for found in sounds.values() for sound in found]


def _link(source: Path, path: Path) -> None:
  """Links a file, or copies it where the file system has no hard links.

  Sounds in the store are replaced, never written into: a link keeps its audio.
  """
  try:
    os.link(source, path)
  except OSError:
    shutil.copyfile(source, path)


def _write_listen(plan: Plan, folder: Path, sounds: Sequence[Mapping]) -> None:
  """Writes the sounds of the middle level, equally loud."""
  levels = plan.task.evaluation_levels
  heard = (levels[len(levels) // 2], None)
  (folder / "listen").mkdir()
  for excerpt in plan.excerpts[: plan.config.listen_excerpts]:
    audio = {
      entry["method"]: read_sound(folder, entry)
      for entry in sounds
      if entry["file"] == excerpt.file and entry["level"] in heard
    }
    if audio:
      overview.write_sounds(
        folder / "listen", excerpt.index, audio, plan.task, plan.sample_rate
      )


def _description(plan: Plan) -> dict:
  """Describes the evaluation for evaluation.json."""
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
    "fingerprints": {k: x.fingerprint for k, x in plan.stores.items()},
  }


def _write_lines(path: Path, rows: Sequence[Mapping]) -> None:
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
