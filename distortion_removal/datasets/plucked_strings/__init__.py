"""Synthetic plucked strings as a data set: nothing to download."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from distortion_removal.datasets import builder

# Far apart, so that no split's excerpt is another's whatever their sizes are.
_FIRST_INDEX = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}


@dataclasses.dataclass(eq=False)
class PluckedStringsConfig(builder.TaskConfig):
  """How much to render, in minutes of each split, and from which seed."""

  train_minutes: float = 40.0
  valid_minutes: float = 2.0
  test_minutes: float = 3.0
  seed: int = 0


@dataclasses.dataclass(eq=False)
class PluckedStringsSmokeConfig(PluckedStringsConfig):
  """Enough for a run of seconds that shows that everything works."""

  train_minutes: float = 0.4
  valid_minutes: float = 0.1
  test_minutes: float = 0.1


class PluckedStrings(builder.CleanAudioBuilder):
  """Excerpts of plucked strings, rendered by a physical model."""

  CONFIG = PluckedStringsConfig
  BUILDER_CONFIGS = builder.task_configs(PluckedStringsConfig)
  builder_config: PluckedStringsConfig

  def source(self) -> dict:
    """The sizes of the splits and the seed."""
    config = self.builder_config
    return {
      "train_minutes": config.train_minutes,
      "valid_minutes": config.valid_minutes,
      "test_minutes": config.test_minutes,
      "seed": config.seed,
    }

  def excerpts(self) -> dict[str, Iterator[tuple[str, np.ndarray]]]:
    """The excerpts of every split, rendered as they are consumed."""
    return {split: self._render(split) for split in builder.SPLITS}

  def _render(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
    from distortion_removal.datasets.plucked_strings.synthesis import render

    config = self.builder_config
    minutes = getattr(config, f"{split}_minutes")
    count = max(1, round(60 * minutes / config.excerpt_seconds))
    for position in builder.track(range(count), split):
      index = _FIRST_INDEX[split] + position
      audio = render(
        index,
        seed=config.seed,
        sample_rate=config.sample_rate,
        seconds=config.excerpt_seconds,
      )
      yield f"{split}#{position:05d}", np.tile(audio, (1, config.channels))


class PluckedStringsSmoke(PluckedStrings):
  """A few seconds of `PluckedStrings`."""

  CONFIG = PluckedStringsSmokeConfig
  BUILDER_CONFIGS = builder.task_configs(PluckedStringsSmokeConfig)
  builder_config: PluckedStringsSmokeConfig
