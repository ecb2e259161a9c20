"""The base of the synthetic data sets: excerpts made from an index."""

import abc
import dataclasses
from collections.abc import Iterator

import numpy as np

from distortion_removal.datasets import builder

# Far apart, so that no split's excerpt is another's whatever their sizes are.
FIRST_INDEX = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}


@dataclasses.dataclass(eq=False)
class RenderedConfig(builder.TaskConfig):
  """How much to render, in minutes of each split, and from which seed."""

  train_minutes: float = 40.0
  valid_minutes: float = 2.0
  test_minutes: float = 3.0
  seed: int = 0


class RenderedBuilder(builder.CleanAudioBuilder):
  """Excerpts that are a function of their index and a seed."""

  CONFIG = RenderedConfig
  builder_config: RenderedConfig

  @abc.abstractmethod
  def render(
    self, index: int, *, seed: int, sample_rate: int, seconds: float
  ) -> np.ndarray:
    """Makes excerpt `index`, `[time, 1]` float32, of `seconds`."""

  def source(self) -> dict:
    """The sizes of the splits and the seed."""
    config = self.builder_config
    fields = [f"{split}_minutes" for split in builder.SPLITS]
    return {field: getattr(config, field) for field in [*fields, "seed"]}

  def excerpts(self) -> dict[str, Iterator[tuple[str, np.ndarray]]]:
    """The excerpts of every split, rendered as they are consumed."""
    return {split: self._render_split(split) for split in builder.SPLITS}

  def _render_split(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
    config = self.builder_config
    minutes = getattr(config, f"{split}_minutes")
    count = max(1, round(60 * minutes / config.excerpt_seconds))
    for position in builder.track(range(count), split):
      audio = self.render(
        FIRST_INDEX[split] + position,
        seed=config.seed,
        sample_rate=config.sample_rate,
        seconds=config.excerpt_seconds,
      )
      yield f"{split}#{position:05d}", np.tile(audio, (1, config.channels))
