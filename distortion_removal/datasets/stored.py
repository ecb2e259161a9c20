"""Data sets that `prepare` has stored: where they lie, and their records."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distortion_removal.common.errors import UserError

if TYPE_CHECKING:
  # TFDS takes seconds to import; only what reads or writes a data set needs it.
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

Source = Sequence[dict[str, Any]]  # records by index


# Beside a data set while it is prepared: what an interruption does not lose.
PARTS = "parts"


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
