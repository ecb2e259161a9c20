"""Opens data sets of clean audio, and reads what `prepare` has stored."""

import dataclasses
import importlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError, check_is_utf8, look_up
from distortion_removal.common.files import as_text
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
  **options: object,
) -> "CleanAudioBuilder":
  """Opens a data set, prepared or not.

  Args:
    dataset: one of `DATASETS`.
    task: one of `tasks.TASKS`; None: the data set's own.
    data_dir: where data sets lie; None or '' for TFDS's own folder
      (`TFDS_DATA_DIR`, else `~/tensorflow_datasets`).
    **options: fields of the builder's `CONFIG`: the form of the stored audio
      (`sample_rate`, `channels`, `excerpt_seconds`), and what preparing needs,
      such as `path` and `include` of `audio_folder`.
  """
  module_name, class_name = look_up(DATASETS, "data set", dataset).split(".")
  module = importlib.import_module(
    f"distortion_removal.datasets.sources.{module_name}"
  )
  builder = getattr(module, class_name)
  fields = {field.name for field in dataclasses.fields(builder.CONFIG)}
  if unknown := options.keys() - fields:
    raise UserError(f"{dataset} takes no {', '.join(sorted(unknown))}")
  if task:
    options["task"] = tasks.get(task)
  config = builder.CONFIG(**options)
  folder = Path(data_dir).expanduser() if data_dir else None
  opened = builder(config=config, data_dir=folder)
  check_is_utf8(opened.data_dir)
  if (
    config.task.effect == "recorded" and "degraded" not in opened.info.features
  ):
    raise UserError(
      f"{dataset} has no recorded degraded side for the task "
      f"{config.task.name}; use paired_folder, or another task"
    )
  return opened


def open_dataset(data: Any) -> "CleanAudioBuilder":
  """Opens the data set of `config.data`; a synthetic one is rendered first."""
  fields = ("task", "data_dir", "sample_rate", "channels", "excerpt_seconds")
  options = {field: data[field] for field in fields}
  builder = open_builder(data.dataset, **options)
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
  """Reads what a run is trained on, which it must not hold out as well."""
  opened = open_sources(data, builder)
  if data.sources:
    for source, _ in opened:
      check_apart(source, builder)
  sources = [read_split(source, "train") for source, _ in opened]
  return Mixture(tuple(sources), tuple(weight for _, weight in opened))


def check_apart(
  source: "CleanAudioBuilder", held_out: "CleanAudioBuilder"
) -> None:
  """Checks that one data set does not train on what another holds out."""
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
  """Opens a run's training sets, with weights: `data.sources`, or its own."""
  opened = []
  for name, folder, weight in data.sources or ():
    own = data.copy_and_resolve_references()
    own.update(dataset=name, data_dir=folder)
    opened.append((open_dataset(own), float(weight)))
  return opened or [(builder, 1.0)]


def label(data: Any) -> str:
  """Names a run's data set; a user's recordings by their prepared folder."""
  if data.dataset in _FOLDERS and data.data_dir:
    return as_text(Path(data.data_dir).expanduser().resolve().name)
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
