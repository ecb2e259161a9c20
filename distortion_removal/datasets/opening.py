"""Opens data sets of clean audio, and reads what `prepare` has stored."""

import dataclasses
import importlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.datasets.mixing import Mixture
from distortion_removal.datasets.preparation import description
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.effects import tasks

if TYPE_CHECKING:
  # TFDS takes seconds to import; only what reads or writes a data set needs it.
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder

# Name on the command line, which is also TFDS's, to a class in `sources`.
DATASETS = {
  "audio_folder": "audio_folder.AudioFolder",
  "ceg": "ceg.Ceg",
  "paired_folder": "paired_folder.PairedFolder",
  "plucked_strings": "plucked_strings.PluckedStrings",
  "plucked_strings_smoke": "plucked_strings.PluckedStringsSmoke",
  "signaltrain": "signaltrain.SignalTrain",
  "signaltrain_sounds": "signaltrain_sounds.SignalTrainSounds",
}
# Of a user's own recordings: the folder says more than the data set's name.
_FOLDERS = ("audio_folder", "ceg", "paired_folder")

Source = Sequence[dict[str, Any]]  # records by index


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
    sample_rate: the stored audio's, in Hz.
    channels: the stored audio's.
    excerpt_seconds: length of a stored excerpt.
    **source: what else preparing needs: the other fields of the builder's
      `CONFIG`, such as `path` and `include` of `audio_folder`.

  Raises:
    UserError: an unknown data set or task, two that do not go together, or a
      form that cannot be stored.
  """
  module_name, class_name = look_up(DATASETS, "data set", dataset).split(".")
  module = importlib.import_module(
    f"distortion_removal.datasets.sources.{module_name}"
  )
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
    data: `config.data` of a run.

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
  if builder.is_stored:
    return builder
  if builder.NEEDS_RECORDINGS:
    hint = f"{data.hint}; " if data.hint else ""
    raise UserError(
      f"{builder.data_dir}: not prepared; {hint}run: {prepare_command(builder)}"
    )
  return prepare(builder, jobs=cores.default_jobs())


def read_split(builder: "CleanAudioBuilder", split: str) -> Source:
  """Reads the excerpts of a split, by random access.

  Args:
    builder: from `open_builder`.
    split: 'train', 'valid' or 'test', or TFDS's slices of them.

  Returns:
    Records of `clean` `[time, channels]` float32 with a peak of 1, `peak`, the
    original one, and `id` as bytes.

  Raises:
    UserError: the data set is not prepared, or has no such split.
  """
  if not builder.is_stored:
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


def training_source(data: Any, builder: "CleanAudioBuilder") -> Mixture:
  """Reads what a run is trained on, see `open_sources`.

  Raises:
    UserError: one of the data sets is missing or empty, or has in training
      what the run's own has in validation or test; or a weight is wrong.
  """
  opened = open_sources(data, builder)
  if data.sources:
    for source, _ in opened:
      check_apart(source, builder)
  sources = [read_split(source, "train") for source, _ in opened]
  return Mixture(tuple(sources), tuple(weight for _, weight in opened))


def check_apart(
  source: "CleanAudioBuilder", held_out: "CleanAudioBuilder"
) -> None:
  """Checks that one data set's training is not another's validation or test.

  Raises:
    UserError: they share excerpts, to the sample.
  """
  trained, held = (
    json.loads((Path(builder.data_dir) / description.DIGESTS_FILE).read_text())
    for builder in (source, held_out)
  )
  tested = {x for split in ("valid", "test") for x in held.get(split, ())}
  shared = tested.intersection(trained.get("train", ()))
  if shared:
    raise UserError(
      f"{source.data_dir}: trains on {len(shared)} excerpts that "
      f"{held_out.data_dir} holds out; pin their groups in a splits.csv and "
      "prepare it with --overwrite"
    )


def open_sources(
  data: Any, builder: "CleanAudioBuilder"
) -> list[tuple["CleanAudioBuilder", float]]:
  """Opens the data sets that a run is trained on, with their weights.

  Args:
    data: `config.data` of the run.
    builder: the run's data set, which is the only one without `data.sources`.
  """
  opened = []
  for name, folder, weight in data.sources or ():
    own = data.copy_and_resolve_references()
    own.update(dataset=name, data_dir=folder)
    opened.append((open_dataset(own), float(weight)))
  return opened or [(builder, 1.0)]


def label(data: Any) -> str:
  """Names a run's data set; a user's recordings by their prepared folder."""
  if data.dataset in _FOLDERS and data.data_dir:
    return Path(data.data_dir).expanduser().resolve().name
  return data.dataset


def prepare_command(builder: "CleanAudioBuilder") -> str:
  """Returns the command line that prepares a data set."""
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
