"""Soft clipping: the knees beyond which a saturated recording is compressed.

Tape, tubes and limiters leave no plateau. What passes their knee is lowered,
not held, so that a sample beyond it is only known to have been at its own value
or farther out.

Two things tell of a knee. Amplitudes of music grow rarer at a steady rate; what
is lowered piles up below the peak, beyond that rate. And a crest factor (peak
over RMS) of music hardly depends on how loud it is; saturation takes it from
the loud parts. Single notes and steady tones pile up by nature, and drums have
crests of all sorts: only both together are strong evidence.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from distortion_removal.declipping.plateaus import Plateaus
from distortion_removal.declipping.plateaus.marking import with_context

_BINS = 100  # from the centre to the peak
_FITTED = slice(_BINS // 4, _BINS // 2)
_EXCESS, _RUN = 1.6, 6  # so many bins in a row hold so much more than expected
_LEAST_COUNT = 20  # in each bin of the fit
_LEAST_STEPS = 2 * _BINS  # of quantisation; of fewer some bins hold none
# What is lowered begins well below where it piles up.
_HIGHEST = 0.75  # of a knee, in units of the peak
# The part of all samples on a side that piles up, at least.
_PILED, _STRONGLY_PILED = 0.005, 0.02
# The same beside a plateau, which takes the crest off loud parts itself.
_STRONGLY_PILED_BELOW_PLATEAU = 0.06
_SAME = 0.01  # peaks that differ less are the same
_BLURRED = 5.0  # widths below its level that a blurred plateau reaches
# The crest factor's change in dB for each dB of the RMS. Of clean excerpts 2 in
# 100 have such a fall, and none of them also piles up strongly.
_CREST_FALL = -0.2
_FRAME = 1 << 11
_LEVELS = 400  # half-decibels below full scale, then above a floor
_STEP_DB = 0.5
_TOP_DB = 40.0  # floating point may pass full scale
# Frames at levels, in dB below that of the loudest twentieth.
_LOUD, _MODERATE = 3.0, (6.0, 18.0)
_LEAST_FRAMES = 8


class Knees(NamedTuple):
  """Levels beyond which a recording looks softly clipped, by channel."""

  low: np.ndarray  # [channels]; -inf: none found
  high: np.ndarray  # [channels]; inf: none found
  is_strong: np.ndarray  # [2, channels], of low and high


def find_knees(
  read: Callable[[], Iterable[np.ndarray]], plateaus: Plateaus
) -> Knees:
  """Finds the knees of a recording in bounded memory.

  Args:
    read: returns the whole recording, as blocks `[time, channels]`.
    plateaus: its plateaus, which may have a knee below. A blurred one piles up
      itself: strong evidence begins clearly below.
  """
  extremes = plateaus.extremes
  centre = extremes.centre[0]
  height = extremes.peak - extremes.centre
  counts, levels = _survey(read(), centre, height)
  shares = np.full(height.shape, np.inf)
  is_strong = np.zeros(height.shape, bool)
  for side, channel in np.ndindex(height.shape):
    count = counts[side, channel]
    least, below = _STRONGLY_PILED, np.inf
    plateau = _lowest_plateau(plateaus, side, channel)
    if np.isfinite(plateau):
      least, below = _STRONGLY_PILED_BELOW_PLATEAU, plateau
    if np.isfinite(plateaus.rails[side, channel]):
      count[-1] = 0  # the plateau's
    if height[side, channel] > _LEAST_STEPS * extremes.step[side, channel]:
      share, piled = _knee(count)
      shares[side, channel] = share
      is_strong[side, channel] = (
        piled >= least
        and share * height[side, channel] < below
        and _crest_falls(levels[side, channel])
      )
  # Sides of the same peak went through the same box.
  for k in np.argwhere(np.isinf(shares)):
    peak = extremes.peak[*k]
    is_same = abs(extremes.peak - peak) < _SAME * abs(peak)
    shares[*k] = np.min(shares[is_same], initial=np.inf)
  knees = np.minimum(shares, _HIGHEST) * height
  knees[np.isinf(shares)] = np.inf
  return Knees(centre - knees[1], centre + knees[0], is_strong[::-1])


def _lowest_plateau(plateaus: Plateaus, side: int, channel: int) -> float:
  """Returns the height from which on plateaus explain what piles up."""
  extremes = plateaus.extremes
  levels = [plateaus.rails[side, channel] - extremes.centre[side, channel]]
  for track in plateaus.tracks:
    if (track.sign < 0, track.channel) == (side, channel):
      levels.append(np.min(track.level - _BLURRED * track.width))
  return min(levels)


def knee_signs(
  block: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
  """Returns 1 for samples at an upper knee or above, -1 for a lower one's."""
  return (block >= high).astype(np.int8) - (block <= low).astype(np.int8)


def _survey(
  blocks: Iterable[np.ndarray], centre: np.ndarray, height: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns what both kinds of evidence need, of both sides of channels.

  Returns:
    Counts of amplitudes `[2, channels, bins]`; and of frames by their RMS, how
    many there are and the sum of their crest factors in dB,
    `[2, channels, levels, 2]`.
  """
  counts = np.zeros((*height.shape, _BINS))
  levels = np.zeros((*height.shape, _LEVELS, 2))
  scale = _BINS / np.where(height > 0, height, np.inf)
  for samples in _frames(blocks):
    for channel in range(len(centre)):
      frames = samples[..., channel] - centre[channel]
      rms = np.sqrt(np.mean(frames**2, axis=1))
      rms_db = 20 * np.log10(np.maximum(rms, 1e-12))
      level = ((_TOP_DB - rms_db) / _STEP_DB).clip(0, _LEVELS - 1).astype(int)
      for side, sign in enumerate((1, -1)):
        bins = sign * scale[side, channel] * frames
        bins = np.minimum(bins[bins >= 0].astype(int), _BINS - 1)
        counts[side, channel] += np.bincount(bins, minlength=_BINS)
        peak = np.max(sign * frames, axis=1)
        crest_db = 20 * np.log10(np.maximum(peak, 1e-12)) - rms_db
        for k, weight in enumerate((None, crest_db)):
          levels[side, channel, :, k] += np.bincount(level, weight, _LEVELS)
  return counts, levels


def _frames(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
  """Yields `[frames, time, channels]`, without what fills no frame."""
  for _, block, _ in with_context(blocks, context=0):
    size = len(block) // _FRAME * _FRAME
    yield block[:size].reshape(-1, _FRAME, block.shape[1])


def _knee(count: np.ndarray) -> tuple[float, float]:
  """Finds where amplitudes pile up.

  Returns:
    The level, as a share of the peak, infinite where too little piles up; and
    how much does, as a part of all.
  """
  fitted = count[_FITTED]
  if fitted.min() < _LEAST_COUNT:
    return np.inf, 0.0
  level = np.arange(_BINS)
  line = np.polyfit(level[_FITTED], np.log(fitted), 1, w=np.sqrt(fitted))
  expected = np.exp(np.polyval(line, level))
  is_more = count > _EXCESS * expected
  is_more[: _FITTED.stop] = False
  runs = np.convolve(is_more, np.ones(_RUN, int), "valid")
  found = np.flatnonzero(runs == _RUN)
  if not len(found):
    return np.inf, 0.0
  beyond = slice(found[0], None)
  piled = np.sum(count[beyond] - expected[beyond]) / np.sum(count)
  return (found[0] / _BINS if piled >= _PILED else np.inf), piled


def _crest_falls(levels: np.ndarray) -> bool:
  """Returns whether the crest factor clearly falls as frames get louder."""
  count, total = levels.T
  below = np.cumsum(count)
  if not below[-1]:
    return False
  loudest = np.searchsorted(below, 0.05 * below[-1])
  depth_db = _STEP_DB * (np.arange(_LEVELS) - loudest)
  is_moderate = (depth_db > _MODERATE[0]) & (depth_db < _MODERATE[1])
  frames = [count[x].sum() for x in (depth_db < _LOUD, is_moderate)]
  if min(frames) < _LEAST_FRAMES:
    return False
  used = (count > 0) & (depth_db < _MODERATE[1])
  crest_db = total[used] / count[used]
  slope = np.polyfit(-depth_db[used], crest_db, 1, w=np.sqrt(count[used]))[0]
  return bool(slope <= _CREST_FALL)
