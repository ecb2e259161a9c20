"""What an evaluation leaves for people: tables, plots and sounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import effects, metrics
from distortion_removal.audio import files
from distortion_removal.audio.loudness import normalise_loudness
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.report import failures, plots
from distortion_removal.report.tables import by_level


def write_tables(
  rows: Sequence[Mapping],
  systems: Sequence[Mapping],
  names: Sequence[str],
  task: Task,
  folder: Path,
  left_out: Mapping[str, str] | None = None,
) -> str:
  """Writes a table, and draws a plot, of every metric.

  Args:
    rows: a result each, as in results.jsonl.
    systems: of the metrics of sets, as in systems.jsonl.
    names: of the metrics.
    task: of the results.
    folder: gets table.md and NAME.png.
    left_out: methods that do not apply, and why.

  Returns:
    The tables.
  """
  effect = tasks.effect_of(task)
  left_out = left_out or {}
  notes = _notes(rows, left_out)
  texts = []
  for name in names:
    metric = metrics.get(name)
    if metric.embed is None:
      scores = by_level.collect(rows, effect.level_name, name)
      texts.append(by_level.median_table(scores, metric, effect, left_out))
    else:
      scores = by_level.collect(systems, effect.level_name, name)
      texts.append(by_level.system_table(scores, metric, effect, left_out))
      if systems:
        counts = [row[f"{name}_windows"] for row in systems]
        texts.append(by_level.windows(counts))
    texts += notes
    figure = plots.score_by_level(
      scores,
      level_label=f"{effect.level_label} / {effect.unit}",
      score_label=by_level.heading(metric),
    )
    figure.savefig(folder / f"{name}.png", dpi=150)
  text = "\n\n".join(texts)
  write_whole(folder / "table.md", text + "\n")
  return text


def _notes(rows: Sequence[Mapping], left_out: Mapping[str, str]) -> list[str]:
  """What a reader of any of the tables must know: gaps, and why."""
  gaps = [f"{by_level.GAP}: {name} {why}." for name, why in left_out.items()]
  excerpts = len({row["file"] for row in rows})
  return gaps + failures.notes(rows, excerpts)


def write_sounds(
  folder: Path,
  index: int,
  sounds: Mapping[str, np.ndarray],
  task: Task,
  sample_rate: int,
) -> None:
  """Writes one excerpt at the task's middle level, equally loud.

  Args:
    folder: gets a WAV file each, and a picture of their spectrograms.
    index: of the excerpt.
    sounds: `[time, channels]` at that level, by name.
    task: has the levels and the loudness.
    sample_rate: in Hz.
  """
  level = len(task.evaluation_levels) // 2
  unit = effects.get(task.effect).unit
  label = f"{task.evaluation_levels[level]:g}{unit}"
  for name, audio in sounds.items():
    scaled, limited = normalise_loudness(
      audio, sample_rate=sample_rate, loudness_lufs=task.loudness_lufs
    )
    path = folder / f"{index:03d}_{label}_{name}.wav"
    if limited:
      logger.info("%s is quieter than the others: its peak is full", path)
    files.write(path, scaled, sample_rate)
  figure = plots.spectrogram_strip(sounds, sample_rate)
  figure.savefig(folder / f"{index:03d}_{label}.png", dpi=120)
