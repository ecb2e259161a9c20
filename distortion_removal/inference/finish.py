"""Says how much of a restoration is taken, and what happens to its peaks."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.chunks import of_length
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.inference.levels import measure

# What happens to a result that an integer format would clip.
ATTENUATE, FLOAT, LIMIT = OVERFLOWS = ("attenuate", "float", "limit")


class Finish(NamedTuple):
  """What is made of a restored recording before it is written.

  Attributes:
    strength: 1 for the restored recording, 0 for the input, and between them
      their weighted mean.
    is_delta: the result is what the restoration adds to the input.
    max_gain_db: most by which a restored sample lies beyond the clip level of
      its side and channel; where none is known, beyond the input's peak there.
      The input's own samples stay. None: no limit.
    on_overflow: "attenuate" lowers the whole so that its peak is full scale;
      "float" writes FLOAT instead; "limit" clips at full scale.
  """

  strength: float = 1.0
  is_delta: bool = False
  max_gain_db: float | None = None
  on_overflow: str = ATTENUATE

  @property
  def is_neutral(self) -> bool:
    """True where the restored recording is taken as it is."""
    return self._replace(on_overflow=ATTENUATE) == Finish()

  def apply(
    self,
    restored: Iterable[np.ndarray],
    source: Path,
    rails: Rails | None = None,
  ) -> Iterator[np.ndarray]:
    """Yields blocks `[time, channels]` of what is to be written.

    Args:
      restored: the restored recording, sample by sample as long as the source.
      source: the recording it is made of, which is read along.
      rails: where that is clipped, `[1, channels]`.
    """
    if self.is_neutral:
      yield from restored
      return
    low, high = self._limits(source, rails)
    for old, new in beside_source(restored, source):
      new = np.clip(new, np.minimum(low, old), np.maximum(high, old))
      # A sample that is not restored stays to the bit in this order.
      change = self.strength * (new - old)
      if self.is_delta:
        yield change
      else:
        yield old + change if self.strength < 1.0 else new

  def _limits(
    self, source: Path, rails: Rails | None
  ) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Returns how far restored samples may go, for each channel."""
    if self.max_gain_db is None:
      return -np.inf, np.inf
    levels = measure(source)
    low, high = levels.low, levels.high
    if rails is not None:
      low = np.where(np.isfinite(rails.low[0]), rails.low[0], low)
      high = np.where(np.isfinite(rails.high[0]), rails.high[0], high)
    gain = 10.0 ** (self.max_gain_db / 20.0)
    # A side that a DC offset keeps from reaching zero has nothing to scale.
    return gain * np.minimum(low, 0.0), gain * np.maximum(high, 0.0)


AS_IT_IS = Finish()


def beside_source(
  restored: Iterable[np.ndarray], source: Path
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields blocks of a source, and of what is restored of it, side by side."""
  with files.open_reader(source) as reader:
    before = of_length(reader.blocks(dtype="float64"), files.BLOCK_FRAMES)
    after = of_length(restored, files.BLOCK_FRAMES)
    yield from zip(before, after, strict=True)
