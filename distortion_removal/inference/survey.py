"""Where a recording is clipped.

It is read through, in blocks, so that a damaged one is told before any work.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distortion_removal.common.log import logger
from distortion_removal.declipping import clip_level as rails
from distortion_removal.inference import output

# A level that is so far below the peak is not merely a rounded one.
_CLEARLY = 1.001


class Survey(NamedTuple):
  """What a first reading of a recording finds.

  Attributes:
    rails: where it is clipped, `[1, channels]`.
    clipped: samples of all channels that are.
    peak: the largest magnitude, 1.0 is full scale.
  """

  rails: rails.Rails
  clipped: int
  peak: float

  @property
  def levels(self) -> str:
    """The rails of all channels, for people."""
    channels = zip(self.rails.low[0], self.rails.high[0], strict=True)
    texts = [
      " and ".join(f"{level:.6g}" for level in pair if np.isfinite(level))
      for pair in channels
    ]
    if len(set(texts)) == 1:
      return texts[0]
    return "; ".join(
      f"{text or 'no level'} (channel {k})" for k, text in enumerate(texts, 1)
    )


def survey(
  source: Path, clip_level: float | tuple[float, float] | None = None
) -> Survey:
  """Reads a whole recording for where it is clipped.

  Args:
    source: an audio file.
    clip_level: of both rails, or (low, high); None: found from the recording.
      One that lies clearly below the peak is warned of.

  Raises:
    UserError: the file cannot be read, or there is no such level.
  """
  read = functools.partial(output.read_blocks, source)
  if clip_level is None:
    found = rails.find_in_stream(read)
  else:
    extremes = _extremes(read())
    found = rails.resolve(extremes, clip_level)
    _warn_of_a_low_level(source, extremes, found)
  clipped, peak = 0, 0.0
  for block in read():
    clipped += np.count_nonzero(rails.signs(block[None], found))
    peak = max(peak, float(np.abs(block).max()))
  return Survey(found, clipped, peak)


def _warn_of_a_low_level(
  source: Path, extremes: np.ndarray, found: rails.Rails
) -> None:
  low, high = _CLEARLY * found.low, _CLEARLY * found.high
  if np.any((extremes < low) | (extremes > high)):
    logger.warning(
      "%s: samples beyond the given level are taken as clipped at it; the "
      "peak is %.6g",
      source,
      np.abs(extremes).max(),
    )


def _extremes(blocks: Iterator[np.ndarray]) -> np.ndarray:
  """The two least and the two largest samples of each channel.

  A given level is compared with the recording's plateaus; these four samples
  have those of all. `[1, time, channels]`, time at most 4.
  """
  held = next(blocks)
  for block in blocks:
    held = np.sort(np.concatenate([held, block]), axis=0)
    if len(held) > 4:
      held = held[[0, 1, -2, -1]]
  return held[None]
