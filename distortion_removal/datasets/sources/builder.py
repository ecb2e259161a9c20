"""The data sets' bases: clean excerpts in array_records, a config for a task.

Pairs are degraded on the fly, hence only clean audio is stored, see
`features.py`. `CleanAudioBuilder` is the base of all data sets,
`RenderedBuilder` that of the synthetic ones.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.features import Int16Audio, to_example
from distortion_removal.datasets.preparation.recordings import Recording
from distortion_removal.datasets.preparation.write import write
from distortion_removal.datasets.splits import SPLITS
from distortion_removal.effects.tasks import TASKS, Task

# Far apart, so that no split's excerpt is another's whatever their sizes are.
FIRST_INDEX = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}
_MAX_MINUTES = 1e6  # less than that many excerpts, the shortest being of 1 s
_RENDERED_SECONDS = 120.0


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
    words = {
      "sample_rate": f"{self.sample_rate}hz",
      "channels": f"{self.channels}ch",
      "excerpt_seconds": f"{self.excerpt_seconds:g}s",
    }
    changed = [
      word
      for field, word in words.items()
      if getattr(self, field) != getattr(TaskConfig, field)
    ]
    self.name = "_".join([self.task.name, *changed])
    self.description = f"Clean audio for the task {self.task.label}."

  @property
  def excerpt_frames(self) -> int:
    """Samples per channel of a full excerpt."""
    return round(self.excerpt_seconds * self.sample_rate)


def task_configs(config: type[TaskConfig]) -> list[TaskConfig]:
  """Makes a config for each task."""
  return [config(task=task) for task in TASKS.values()]


class CleanAudioBuilder(tfds.core.GeneratorBasedBuilder):
  """Base of the builders: a subclass says where the audio comes from."""

  VERSION = tfds.core.Version("1.0.0")
  CONFIG: ClassVar[type[TaskConfig]] = TaskConfig
  NEEDS_RECORDINGS: ClassVar[bool] = False
  NEEDS_PATH: ClassVar[bool] = False  # of them, from the user
  # So many bytes of recordings are worth the start of one more process.
  BYTES_PER_PROCESS: ClassVar[int] = 64 << 20
  builder_config: TaskConfig
  jobs: int = 1  # processes to prepare with; 0 chooses from the data's size

  def __init__(self, **kwargs):
    super().__init__(**{"file_format": "array_record", **kwargs})

  @abc.abstractmethod
  def source(self) -> dict:
    """Describes the audio's origin in JSON types; equal for equal data."""

  @abc.abstractmethod
  def recordings(self) -> list[Recording]:
    """Lists what is read on its own, in the order of the records."""

  def features(self) -> dict:
    """Returns the features of a record."""
    audio = Int16Audio((None, self.builder_config.channels))
    return {"clean": audio, "peak": np.float32, "id": tfds.features.Text()}

  @property
  def is_stored(self) -> bool:
    """True where the data set lies complete."""
    # TFDS's own `is_prepared` logs a warning whenever the answer is no.
    return (Path(self.data_dir) / "dataset_info.json").is_file()

  def _log_download_bytes(self) -> None:
    """Says nothing: TFDS would print that it downloads."""

  _log_download_done = _log_download_bytes

  def _create_builder_config(self, builder_config, version):
    # TFDS only takes configs from a list; this one is defined by its fields.
    if isinstance(builder_config, TaskConfig):
      return builder_config
    return super()._create_builder_config(builder_config, version)

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=self.__doc__,
      features=tfds.features.FeaturesDict(self.features()),
      metadata=tfds.core.MetadataDict(),
      disable_shuffling=True,
    )

  # What TFDS would generate splits by; `_generate_splits` has recordings.
  _split_generators = _generate_examples = None

  def _generate_splits(self, dl_manager, download_config) -> list:
    # TFDS's own writer holds a whole split in memory, and beyond 1 GB spills
    # to disk through TensorFlow. The order is fixed, so records can just flow.
    del dl_manager
    return write(self, download_config)


@dataclasses.dataclass(eq=False)
class RenderedConfig(TaskConfig):
  """Minutes of each split to render, and the seed."""

  train_minutes: float = 40.0
  valid_minutes: float = 2.0
  test_minutes: float = 3.0
  seed: int = 0

  def __post_init__(self):
    super().__post_init__()
    for split in SPLITS:
      minutes = getattr(self, f"{split}_minutes")
      if not 0 < minutes <= _MAX_MINUTES:
        raise UserError(
          f"{split}_minutes {minutes:g}: choose more than 0 and at most "
          f"{_MAX_MINUTES:g}"
        )
    if self.seed < 0:
      raise UserError(f"seed {self.seed}: choose 0 or more")


class RenderedBuilder(CleanAudioBuilder):
  """Excerpts that are a function of their index and a seed.

  Each split is made in recordings of two minutes, so that several processes
  can share the work and an interrupted one loses little.
  """

  CONFIG = RenderedConfig
  # Of samples in 32 bits: a few seconds of rendering.
  BYTES_PER_PROCESS: ClassVar[int] = 32 << 20
  builder_config: RenderedConfig

  @staticmethod
  @abc.abstractmethod
  def render(
    index: int, *, seed: int, sample_rate: int, seconds: float
  ) -> np.ndarray:
    """Makes excerpt `index`, `[time, 1]` float32, of `seconds`."""

  def source(self) -> dict:
    """Returns the sizes of the splits and the seed."""
    fields = ("train_minutes", "valid_minutes", "test_minutes", "seed")
    return {field: getattr(self.builder_config, field) for field in fields}

  def recordings(self) -> list[Recording]:
    """Lists two minutes each of the splits, the last ones shorter."""
    config, found = self.builder_config, []
    form = (config.sample_rate, config.channels, config.excerpt_seconds)
    step = max(1, round(_RENDERED_SECONDS / config.excerpt_seconds))
    for split in SPLITS:
      seconds = 60 * getattr(config, f"{split}_minutes")
      count = max(1, round(seconds / config.excerpt_seconds))
      for start in range(0, count, step):
        positions = range(start, min(start + step, count))
        version = (self.VERSION, config.seed, positions.stop, *form)
        found.append(
          Recording(
            f"{split}#{start:05d}",
            group=split,
            read=functools.partial(
              _render_examples, self.render, split, positions, config
            ),
            version=" ".join(map(str, version)),
            size=4 * config.excerpt_frames * len(positions),
            split=split,
          )
        )
    return found


def _render_examples(
  render: Callable[..., np.ndarray],
  split: str,
  positions: range,
  config: RenderedConfig,
) -> Iterator[dict]:
  """Renders examples, called `train#00000`, `train#00001`, …."""
  for position in positions:
    audio = render(
      FIRST_INDEX[split] + position,
      seed=config.seed,
      sample_rate=config.sample_rate,
      seconds=config.excerpt_seconds,
    )
    yield to_example(
      f"{split}#{position:05d}", np.tile(audio, (1, config.channels))
    )
