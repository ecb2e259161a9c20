"""The base of the synthetic data sets: excerpts made from an index.

Each split is made in parts of some minutes of sound, so that several processes
can share the work and an interrupted one loses little. What an index sounds
like depends on neither.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.preparation.parts import Part
from distortion_removal.datasets.sources import builder

# Far apart, so that no split's excerpt is another's whatever their sizes are.
FIRST_INDEX = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}
_MAX_MINUTES = 1e6  # less than that many excerpts, the shortest being of 1 s
_PART_SECONDS = 120.0


@dataclasses.dataclass(eq=False)
class RenderedConfig(builder.TaskConfig):
  """How much to render, in minutes of each split, and from which seed.

  Raises:
    UserError: a length that is none, or a seed below 0.
  """

  train_minutes: float = 40.0
  valid_minutes: float = 2.0
  test_minutes: float = 3.0
  seed: int = 0

  def __post_init__(self):
    super().__post_init__()
    for split in builder.SPLITS:
      minutes = self.minutes(split)
      if not 0 < minutes <= _MAX_MINUTES:
        raise UserError(
          f"{split}_minutes {minutes:g}: choose more than 0 and at most "
          f"{_MAX_MINUTES:g}"
        )
    if self.seed < 0:
      raise UserError(f"seed {self.seed}: choose 0 or more")

  def minutes(self, split: str) -> float:
    """How much of a split to render."""
    return getattr(self, f"{split}_minutes")


class RenderedBuilder(builder.CleanAudioBuilder):
  """Excerpts that are a function of their index and a seed."""

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
    """The sizes of the splits and the seed."""
    config = self.builder_config
    fields = [f"{split}_minutes" for split in builder.SPLITS]
    return {field: getattr(config, field) for field in [*fields, "seed"]}

  def parts(self) -> list[Part]:
    """Some minutes of a split each, the last one less."""
    return [
      self._part(split, positions)
      for split in builder.SPLITS
      for positions in _positions(self.builder_config, split)
    ]

  def _part(self, split: str, positions: range) -> Part:
    config = self.builder_config
    form = (config.sample_rate, config.channels, config.excerpt_seconds)
    version = (self.VERSION, config.seed, positions.stop, *form)
    return Part(
      f"{split}#{positions.start:05d}",
      functools.partial(read, self.render, split, positions, config),
      version=" ".join(map(str, version)),
      size=4 * config.excerpt_frames * len(positions),
    )

  def assign(self, names: Sequence[str]) -> dict[str, list[str]]:
    """The parts of each split."""
    return {
      split: [name for name in names if name.startswith(f"{split}#")]
      for split in builder.SPLITS
    }


def _positions(config: RenderedConfig, split: str) -> list[range]:
  """The excerpts of a split, by position, as many as make up a part."""
  count = max(1, round(60 * config.minutes(split) / config.excerpt_seconds))
  step = max(1, round(_PART_SECONDS / config.excerpt_seconds))
  return [
    range(start, min(start + step, count)) for start in range(0, count, step)
  ]


def read(
  render: Callable[..., np.ndarray],
  split: str,
  positions: range,
  config: RenderedConfig,
) -> Iterator[dict]:
  """Renders the examples of a part, called `train#00000`, `train#00001`, ….

  Args:
    render: as of `RenderedBuilder`.
    split: that they are of.
    positions: of the excerpts in the split.
    config: their form, and the seed.
  """
  for position in positions:
    audio = render(
      FIRST_INDEX[split] + position,
      seed=config.seed,
      sample_rate=config.sample_rate,
      seconds=config.excerpt_seconds,
    )
    yield builder.to_example(
      f"{split}#{position:05d}", np.tile(audio, (1, config.channels))
    )
