"""The base of the data sets: clean excerpts in array_records, a config a task.

A record holds one excerpt: `clean`, scaled to a peak of 1 and stored in 16
bits; `peak`, its original peak, so that `clean * peak` is the recording's own
scale; and `id`, which file and which excerpt of it. Pairs are degraded on the
fly, hence only clean audio is stored.
"""

import abc
import dataclasses
import os
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.features import Int16Audio
from distortion_removal.datasets.preparation import write
from distortion_removal.datasets.preparation.parts import Part
from distortion_removal.datasets.splits import SPLITS as SPLITS
from distortion_removal.effects.tasks import TASKS, Task


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
  """Base of the builders: a subclass says where the audio comes from.

  It delivers `parts`, which several processes or machines can read, and sorts
  them into splits by `assign`. What two splits hold is left out of training,
  see `leaks.without_leaks`.

  `report` collects what preparing met; it lies beside the records as
  `report.json`, and `description.json` says what the set is like.
  """

  VERSION = tfds.core.Version("1.0.0")
  CONFIG: ClassVar[type[TaskConfig]] = TaskConfig
  NEEDS_RECORDINGS: ClassVar[bool] = False
  NEEDS_PATH: ClassVar[bool] = False  # of them, from the user
  # Of parts, for one more process to be worth its start.
  BYTES_PER_PROCESS: ClassVar[int] = 64 << 20
  report: dict
  builder_config: TaskConfig
  jobs: int = 1  # processes to prepare with; 0: as many as are worth it

  def __init__(self, **kwargs):
    super().__init__(**{"file_format": "array_record", **kwargs})
    self.report = {}

  @abc.abstractmethod
  def source(self) -> dict:
    """Where the audio comes from, as JSON types; the same, the same data."""

  @abc.abstractmethod
  def parts(self) -> list[Part]:
    """What is read on its own, in the order of the records."""

  @abc.abstractmethod
  def assign(self, names: Sequence[str]) -> dict[str, list[str]]:
    """Sorts parts, by name, into splits."""

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

  # What TFDS would generate splits by; `_generate_splits` has parts instead.
  _split_generators = _generate_examples = None

  def _generate_splits(self, dl_manager, download_config) -> list:
    # TFDS's own writer holds a whole split in memory, and beyond 1 GB spills
    # to disk through TensorFlow. The order is fixed, so records can just flow.
    del dl_manager
    return write.write(self, download_config)


def to_example(identity: str, audio: np.ndarray) -> dict:
  """The record of an excerpt `[time, channels]` that is not all zero."""
  peak = np.abs(audio).max()
  return {"clean": audio / peak, "peak": peak, "id": os.fsencode(identity)}
