"""Data sets of clean audio: opening and reading what `prepare` has stored."""

import dataclasses
import importlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distortion_removal import cores
from distortion_removal.datasets import tasks
from distortion_removal.errors import UserError

Source = Sequence[dict[str, Any]]  # records by index

# Beside a data set while it is prepared: what an interruption does not lose.
PARTS = "parts"

if TYPE_CHECKING:
  # TFDS takes seconds to import; only what reads or writes a data set needs it.
  from distortion_removal.datasets.builder import CleanAudioBuilder

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
  module = importlib.import_module(f"{__name__}.{module_name}")
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
  if is_prepared(builder):
    return builder
  if builder.NEEDS_RECORDINGS:
    hint = f"{data.hint}; " if data.hint else ""
    raise UserError(
      f"{builder.data_dir}: not prepared; {hint}run: {prepare_command(builder)}"
    )
  from distortion_removal.prepare import prepare

  return prepare(builder, jobs=cores.default_jobs())


def label(data: Any) -> str:
  """Names a run's data set; folders of recordings by where they lie prepared.

  Args:
    data: `config.data` of a run.
  """
  folders = ("audio_folder", "ceg", "paired_folder")
  if data.dataset in folders and data.data_dir:
    return Path(data.data_dir).expanduser().resolve().name
  return data.dataset


def is_prepared(builder: "CleanAudioBuilder") -> bool:
  """Whether the data set lies there complete."""
  # TFDS's own `is_prepared` logs a warning whenever the answer is no.
  return (Path(builder.data_dir) / "dataset_info.json").is_file()


def read_split(builder: "CleanAudioBuilder", split: str) -> Source:
  """Random access to the excerpts of a split.

  Args:
    builder: from `open_builder`.
    split: 'train', 'valid' or 'test', or TFDS's slices of them.

  Returns:
    Records of `clean` `[time, channels]` float32 with a peak of 1, `peak`, the
    original one, and `id` as bytes.

  Raises:
    UserError: the data set is not prepared, or has no such split.
  """
  if not is_prepared(builder):
    raise UserError(
      f"{builder.data_dir}: not prepared; run: {prepare_command(builder)}"
    )
  if split.partition("[")[0] not in builder.info.splits:
    known = ", ".join(builder.info.splits)
    raise UserError(
      f"{builder.data_dir}: no split {split!r}, only {known}; prepare more "
      f"recordings, or a subfolder {split}"
    )
  return builder.as_data_source(split)


def prepare_command(builder: "CleanAudioBuilder") -> str:
  """The command line that prepares the data set."""
  config = builder.builder_config
  options = {
    "dataset": builder.name,
    "task": config.task.name,
    "data-dir": str(builder.data_dir_root),
    "sample-rate": config.sample_rate,
    "channels": config.channels,
    "excerpt-seconds": f"{config.excerpt_seconds:g}",
  }
  words = [f"--{name}={value}" for name, value in options.items()]
  if builder.NEEDS_PATH:
    words.append("--path=FOLDER")
  return shlex.join(["python", "-m", "distortion_removal.prepare", *words])
