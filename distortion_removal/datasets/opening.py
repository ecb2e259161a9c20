"""Data sets of clean audio: opening and reading what `prepare` has stored."""

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import stored
from distortion_removal.datasets.mixing import Mixture
from distortion_removal.datasets.preparation import leaks
from distortion_removal.effects import tasks

if TYPE_CHECKING:
  # TFDS takes seconds to import; only what reads or writes a data set needs it.
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

_SOURCES = "distortion_removal.datasets.sources"
# Name on the command line, which is also TFDS's, to module and class.
DATASETS = {
  "audio_folder": ("audio_folder", "AudioFolder"),
  "ceg": ("ceg", "Ceg"),
  "paired_folder": ("paired_folder", "PairedFolder"),
  "plucked_strings": ("plucked_strings", "PluckedStrings"),
  "plucked_strings_smoke": ("plucked_strings", "PluckedStringsSmoke"),
  "signaltrain": ("signaltrain", "SignalTrain"),
  "signaltrain_sounds": ("signaltrain_sounds", "SignalTrainSounds"),
}


def open_builder(
  dataset: str,
  *,
  task: str | None = None,
  data_dir: str | None = None,
  sample_rate: int = 16_000,
  channels: int = 1,
  excerpt_seconds: float = 10.0,
  **source: object,
) -> "CleanAudioBuilder":
  """Opens a data set, prepared or not.

  Args:
    dataset: one of `DATASETS`.
    task: one of `tasks.TASKS`; None: the data set's own.
    data_dir: where data sets lie; None or '' for TFDS's own folder
      (`TFDS_DATA_DIR`, else `~/tensorflow_datasets`).
    sample_rate: of the stored audio, in Hz.
    channels: of the stored audio.
    excerpt_seconds: length of a stored excerpt.
    **source: what else preparing needs: the other fields of the builder's
      `CONFIG`, such as `path` and `include` of `audio_folder`.

  Raises:
    UserError: an unknown data set or task, two that do not go together, or a
      form that cannot be stored.
  """
  if dataset not in DATASETS:
    known = ", ".join(DATASETS)
    raise UserError(f"unknown data set {dataset!r}: choose from {known}")
  module_name, class_name = DATASETS[dataset]
  module = importlib.import_module(f"{_SOURCES}.{module_name}")
  builder = getattr(module, class_name)
  fields = {field.name for field in dataclasses.fields(builder.CONFIG)}
  if unknown := source.keys() - fields:
    raise UserError(f"{dataset} takes no {', '.join(sorted(unknown))}")
  if task:
    source["task"] = tasks.get(task)
  config = builder.CONFIG(
    sample_rate=sample_rate,
    channels=channels,
    excerpt_seconds=excerpt_seconds,
    **source,
  )
  folder = Path(data_dir).expanduser() if data_dir else None
  opened = builder(config=config, data_dir=folder)
  if (
    config.task.effect == "recorded" and "degraded" not in opened.info.features
  ):
    raise UserError(
      f"{dataset} has no recorded degraded side for the task "
      f"{config.task.name}; use paired_folder, or another task"
    )
  return opened


def open_dataset(data: Any) -> "CleanAudioBuilder":
  """Opens the data set of a run, and renders it first if it is synthetic.

  Args:
    data: `config.data` of a run, see `configs/default.py`.

  Raises:
    UserError: recordings are needed and not prepared yet.
  """
  builder = open_builder(
    data.dataset,
    task=data.task,
    data_dir=data.data_dir,
    sample_rate=data.sample_rate,
    channels=data.channels,
    excerpt_seconds=data.excerpt_seconds,
  )
  if stored.is_prepared(builder):
    return builder
  if builder.NEEDS_RECORDINGS:
    hint = f"{data.hint}; " if data.hint else ""
    raise UserError(
      f"{builder.data_dir}: not prepared; {hint}run: "
      f"{stored.prepare_command(builder)}"
    )
  from distortion_removal.datasets.preparation.prepare import prepare

  return prepare(builder, jobs=cores.default_jobs())


def training_source(
  data: Any, builder: "CleanAudioBuilder"
) -> stored.Source | Mixture:
  """What a run is trained on.

  Args:
    data: `config.data` of the run; one of an older version has no `sources`.
    builder: of its data set, whose training split it is without `sources`.

  Raises:
    UserError: one of the data sets is missing or empty, or has in training
      what the run's own has in validation or test; or a weight is wrong.
  """
  if not data.get("sources"):
    return stored.read_split(builder, "train")
  opened = open_sources(data, builder)
  for source, _ in opened:
    leaks.check_apart(source, builder)
  sources = [stored.read_split(source, "train") for source, _ in opened]
  return Mixture(tuple(sources), tuple(weight for _, weight in opened))


def open_sources(
  data: Any, builder: "CleanAudioBuilder"
) -> list[tuple["CleanAudioBuilder", float]]:
  """The data sets that a run is trained on, with their weights.

  Args:
    data: `config.data` of the run.
    builder: of its data set, which is the only one without `data.sources`.

  Raises:
    UserError: one of them is missing.
  """
  opened = []
  for name, folder, weight in data.get("sources") or ():
    own = data.copy_and_resolve_references()
    own.update(dataset=name, data_dir=folder)
    opened.append((open_dataset(own), float(weight)))
  return opened or [(builder, 1.0)]
