"""Flat tops with corners: single events of clipping, whatever their level.

Where a clipper holds, a peak is cut: steep flanks, a corner, next to no slope,
a corner. Had the peak been a parabola of these flanks, it would have risen by
a quarter of flank times length above them. A natural peak does rise so far; a
cut one stays within the noise, however weak that is. The ratio of the two, the
flatness, does not depend on level, rate or gain, and hardly on tilt or drift.
On clean recordings it is about 1, and above 10 in one peak of thousands.
"""

from typing import NamedTuple

import numpy as np

# Flatness of a cut peak, and of one that can hardly be anything else.
FLAT, _STRONG = 5.0, 10.0
# A top that is none, and speaks against a rail.
ROUND = 2.0
_LEAST_SAMPLES = 3
_FLANK_SAMPLES = 3
_CORNER = 0.5
_STEEP = 2.0


class FlatTops(NamedTuple):
  """Events of a channel, each an array with an entry for every event."""

  start: np.ndarray  # index of the first sample
  size: np.ndarray  # in samples
  level: np.ndarray  # the middle of the samples' range
  spread: np.ndarray  # that range
  tilt: np.ndarray  # change for each sample
  flatness: np.ndarray
  flank: np.ndarray  # height within three samples, of the less steep one
  is_upper: np.ndarray
  is_strong: np.ndarray

  def where(self, chosen: np.ndarray) -> "FlatTops":
    """Returns some of the events."""
    return FlatTops(*(part[chosen] for part in self))


def flat_tops(samples: np.ndarray, tolerance: float, step: float) -> FlatTops:
  """Finds peaks and troughs of three samples or more that hardly change.

  Args:
    samples: `[time]` float64.
    tolerance: largest change from one sample to the next within a top.
    step: of the samples' quantisation, 0 if they are not quantised.
  """
  change = np.diff(samples)
  is_flat = np.concatenate([[False], abs(change) <= tolerance, [False]])
  ends = np.flatnonzero(is_flat[1:] != is_flat[:-1])
  first, last = ends[::2], ends[1::2]
  inner = (last - first + 1 >= _LEAST_SAMPLES) & (first >= _FLANK_SAMPLES)
  inner &= last < len(samples) - _FLANK_SAMPLES
  first, last = first[inner], last[inner]
  # A clipper cuts the last step of a flank short: the one before it counts.
  rise = _larger(change, first - 1, first - 2)
  fall = _larger(change, last, last + 1)
  is_top = (change[first - 1] * change[last] < 0) & (rise * fall < 0)
  first, last, rise, fall = (x[is_top] for x in (first, last, rise, fall))
  if not len(first):
    none = np.zeros(0)
    return FlatTops(first, last, *[none] * 5, none > 0, none > 0)
  bounds = np.stack([first, last + 1], axis=1).reshape(-1)
  highest = np.maximum.reduceat(samples, bounds)[::2]
  lowest = np.minimum.reduceat(samples, bounds)[::2]
  size = last - first + 1
  spread = highest - lowest
  flank = np.minimum(abs(rise), abs(fall))
  height = np.minimum(
    abs(samples[first] - samples[first - _FLANK_SAMPLES]),
    abs(samples[last] - samples[last + _FLANK_SAMPLES]),
  )
  flatness = flank * size / 4 / np.maximum(spread + step, 1e-12)
  # At a corner a flank is as steep as further down; a smooth top's is not.
  is_corner = abs(rise) >= _CORNER * abs(change[first - 3])
  is_corner &= abs(fall) >= _CORNER * abs(change[last + 2])
  is_corner &= flank >= _STEEP * tolerance
  return FlatTops(
    first,
    size,
    (highest + lowest) / 2,
    spread,
    # Without the ends, which may be cut flanks.
    (samples[last - 1] - samples[first + 1]) / np.maximum(size - 3, 1),
    flatness,
    height,
    rise > 0,
    is_corner & (flatness >= _STRONG),
  )


def _larger(x: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
  return np.where(abs(x[one]) > abs(x[other]), x[one], x[other])
