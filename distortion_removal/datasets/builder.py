"""The base of the data sets: clean excerpts in array_records, a config a task.

A record holds one excerpt: `clean`, scaled to a peak of 1 and stored in 16
bits; `peak`, its original peak, so that `clean * peak` is the recording's own
scale; and `id`, which file and which excerpt of it. Pairs are degraded on the
fly, hence only clean audio is stored.
"""

import abc
import dataclasses
import functools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from distortion_removal.datasets import preparation
from distortion_removal.datasets.features import Int16Audio
from distortion_removal.datasets.parts import Part
from distortion_removal.datasets.splits import SPLITS as SPLITS
from distortion_removal.datasets.tasks import TASKS, Task
from distortion_removal.errors import UserError

_PROGRESS_SECONDS = 10.0
T = TypeVar("T")


@dataclasses.dataclass(eq=False)
class TaskConfig(tfds.core.BuilderConfig):
  """A task, and the form in which its clean audio is stored.

  Attributes:
    name: derived: the task's name, and what differs from the defaults.
    task: names the degradation and its levels in training and evaluation.
    sample_rate: in Hz.
    channels: 1 or 2.
    excerpt_seconds: length of an excerpt; a recording's last one is shorter.
  """

  name: str = ""
  task: Task = TASKS["overdrive"]
  sample_rate: int = 16_000
  channels: int = 1
  excerpt_seconds: float = 10.0

  def __post_init__(self):
    if self.channels not in (1, 2):
      raise UserError(f"{self.channels} channels: choose 1 or 2")
    if self.sample_rate < 1_000 or not 1 <= self.excerpt_seconds <= 3_600:
      raise UserError(
        f"excerpts of {self.excerpt_seconds:g} s at {self.sample_rate} Hz: "
        "choose 1 to 3600 s and at least 1000 Hz"
      )
    parts = {
      "sample_rate": f"{self.sample_rate}hz",
      "channels": f"{self.channels}ch",
      "excerpt_seconds": f"{self.excerpt_seconds:g}s",
    }
    changed = [
      part
      for field, part in parts.items()
      if getattr(self, field) != getattr(TaskConfig, field)
    ]
    self.name = "_".join([self.task.name, *changed])
    self.description = f"Clean audio for the task {self.task.label}."

  @property
  def excerpt_frames(self) -> int:
    """Samples a channel of a full excerpt."""
    return round(self.excerpt_seconds * self.sample_rate)


def task_configs(config: type[TaskConfig]) -> list[TaskConfig]:
  """One config a task, each with the defaults of the class `config`."""
  return [config(task=task) for task in TASKS.values()]


class CleanAudioBuilder(tfds.core.GeneratorBasedBuilder):
  """Base of the builders: a subclass only delivers excerpts.

  Either `excerpts`, one split after the other in this process, or `parts`,
  which several processes or machines can read, and `assign`, which sorts them
  into splits. Either way what two splits hold is left out of training, see
  `leaks.without_leaks`.

  `report` collects what preparing met; it lies beside the records as
  `report.json`, and `description.json` says what the set is like.
  """

  VERSION = tfds.core.Version("1.0.0")
  CONFIG: ClassVar[type[TaskConfig]] = TaskConfig
  NEEDS_RECORDINGS: ClassVar[bool] = False
  NEEDS_PATH: ClassVar[bool] = False  # of them, from the user
  report: dict
  builder_config: TaskConfig
  jobs: int = 1  # processes to prepare with; 0: as many as are worth it

  def __init__(self, **kwargs):
    super().__init__(**{"file_format": "array_record", **kwargs})
    self.report = {}

  @abc.abstractmethod
  def source(self) -> dict:
    """Where the audio comes from, as JSON types; the same, the same data."""

  def excerpts(self) -> dict[str, Iterable[tuple[str, np.ndarray]]]:
    """The splits, each as excerpts `(id, audio [time, channels])`, in order.

    The iterables are consumed one after the other.
    """
    raise NotImplementedError("a builder has `excerpts`, or `parts`")

  def parts(self) -> list[Part]:
    """What is read on its own, in the order of the records."""
    return [
      Part(split, functools.partial(_without_keys, examples))
      for split, examples in self._split_generators(None).items()
    ]

  def assign(self, names: Sequence[str]) -> dict[str, list[str]]:
    """Sorts parts, by name, into splits; of `excerpts`, a part is a split."""
    return {name: [name] for name in names}

  def group(self, identity: str) -> str:
    """What an excerpt stays on one side with: by default, its recording."""
    return identity.partition("#")[0]

  def _log_download_bytes(self) -> None:
    """Says nothing: TFDS would print that it downloads."""

  def _log_download_done(self) -> None:
    """Says nothing, as above."""

  def _create_builder_config(self, builder_config, version):
    # TFDS only takes configs from a list; this one is defined by its fields.
    if isinstance(builder_config, TaskConfig):
      return builder_config
    return super()._create_builder_config(builder_config, version)

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.__doc__,
      features=tfds.features.FeaturesDict(
        {
          "clean": Int16Audio((None, config.channels)),
          "peak": np.float32,
          "id": tfds.features.Text(),
        }
      ),
      metadata=tfds.core.MetadataDict(),
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager
    return {
      split: self._generate_examples(excerpts)
      for split, excerpts in self.excerpts().items()
    }

  def _generate_examples(self, excerpts) -> Iterator[tuple[int, dict]]:
    for index, (identity, audio) in enumerate(excerpts):
      yield index, to_example(identity, audio)

  def _generate_splits(self, dl_manager, download_config) -> list:
    # TFDS's own writer holds a whole split in memory, and beyond 1 GB spills
    # to disk through TensorFlow. The order is fixed, so records can just flow.
    del dl_manager
    return preparation.write(self, download_config)


def _without_keys(examples: Iterable[tuple[int, dict]]) -> Iterator[dict]:
  return (example for _, example in examples)


def to_example(identity: str, audio: np.ndarray) -> dict:
  """The record of an excerpt `[time, channels]` that is not all zero."""
  peak = np.abs(audio).max()
  return {"clean": audio / peak, "peak": peak, "id": os.fsencode(identity)}


def track(items: Sequence[T], label: str) -> Iterator[T]:
  """Iterates and shows how far it is: a bar on a terminal, else lines."""
  if sys.stderr.isatty():
    yield from tqdm(items, desc=label, unit="file", leave=False)
    return
  shown = time.monotonic()
  for index, item in enumerate(items):
    if time.monotonic() - shown > _PROGRESS_SECONDS:
      print(f"{label}: {index} of {len(items)}", file=sys.stderr)
      shown = time.monotonic()
    yield item
