"""The tables, plots and sounds that an evaluation leaves for people."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from distortion_removal import effects
from distortion_removal.audio import files
from distortion_removal.audio.loudness import normalise_loudness
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.effects.tasks import Task
from distortion_removal.report.analysis import studies
from distortion_removal.report.figures import by_level, drawing
from distortion_removal.report.methods import styles
from distortion_removal.report.results import load
from distortion_removal.report.spectrogram import spectrogram_strip
from distortion_removal.report.tables import task_tables
from distortion_removal.report.tables.table import markdown_page


def write_overview(folder: Path) -> str:
  """Writes table.md and METRIC.png of each metric; returns the tables."""
  (study,) = studies(load([folder]))
  results = study.results
  tables = [
    task_tables.median_table(study, name)
    if name in study.analyses
    else task_tables.level_table(study, name)
    for name in results.metrics
  ]
  text = markdown_page(results.title, tables)
  write_whole(folder / "table.md", text)
  for name in results.metrics:
    figure = by_level.draw(study, [name], styles(results.methods))
    drawing.save(figure, folder / f"{name}.png")
  return text


def write_sounds(
  folder: Path,
  index: int,
  sounds: Mapping[str, np.ndarray],
  task: Task,
  sample_rate: int,
) -> None:
  """Writes one excerpt's sounds, equally loud, and their spectrograms.

  Args:
    folder: gets a WAV file each, and one picture.
    index: the excerpt's place in the split.
    sounds: `[time, channels]` at the task's middle level, by name.
    task: has the level and the loudness.
    sample_rate: in Hz.
  """
  level = task.evaluation_levels[len(task.evaluation_levels) // 2]
  stem = f"{index:03d}_{level:g}{effects.get(task.effect).unit}"
  for name, audio in sounds.items():
    scaled, limited = normalise_loudness(
      audio, sample_rate=sample_rate, loudness_lufs=task.loudness_lufs
    )
    path = folder / f"{stem}_{name}.wav"
    if limited:
      logger.info("%s is quieter than the others: its peak is full", path.name)
    files.write(path, scaled, sample_rate)
  figure = spectrogram_strip(sounds, sample_rate)
  figure.savefig(folder / f"{stem}.png", dpi=120)
