"""Measures the levels of recordings, block by block."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from distortion_removal.audio import files


@dataclasses.dataclass
class LevelMeter:
  """Levels of each channel of the blocks that have passed by, in float64."""

  frames: int = 0
  low: np.ndarray | None = None  # least and largest samples, [channels]
  high: np.ndarray | None = None
  # Sums are of what lies above the first sample: a DC that is large against the
  # music costs them no digits, and a constant channel has exact zeros.
  first: np.ndarray | None = None
  sum: np.ndarray | float = 0.0
  squares: np.ndarray | float = 0.0

  def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the blocks `[time, channels]` unchanged."""
    for block in blocks:
      if len(block):
        self.add(block)
      yield block

  def add(self, block: np.ndarray) -> None:
    """Adds a block `[time, channels]` that is not empty."""
    if self.first is None:
      self.first = self.low = self.high = block[0].astype(np.float64)
    self.low = np.minimum(self.low, block.min(axis=0))
    self.high = np.maximum(self.high, block.max(axis=0))
    above = block - self.first
    self.frames += len(block)
    self.sum = self.sum + above.sum(axis=0)
    self.squares = self.squares + np.square(above).sum(axis=0)

  @property
  def dc(self) -> np.ndarray:
    """Each channel's mean."""
    return self.first + self.sum / self.frames

  @property
  def energy(self) -> np.ndarray:
    """Each channel's sum of squares, without its DC."""
    return np.maximum(self.squares - self.sum**2 / self.frames, 0.0)

  @property
  def is_constant(self) -> np.ndarray:
    """Tells which channels are silent, or a DC alone."""
    return self.low == self.high

  @property
  def peak(self) -> float:
    """The largest magnitude."""
    return float(max(-self.low.min(), self.high.max(), 0.0))

  @property
  def ac_peak(self) -> float:
    """The largest magnitude without the DC."""
    return float(max((self.dc - self.low).max(), (self.high - self.dc).max()))


def measure(source: Path) -> LevelMeter:
  """Reads a whole recording for its levels; a damaged one is refused."""
  meter = LevelMeter()
  with files.open_reader(source) as reader:
    for _ in meter.watch(reader.blocks(dtype="float64")):
      pass
  return meter
