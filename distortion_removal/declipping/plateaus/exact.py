"""Plateaus of exactly one value at a channel's extremes."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from distortion_removal.common.errors import UserError

FLOAT32_ROUNDING = 2.0**-22
_DISTINCT = 64
_BAND = 0.005
_BAND_STEPS = 8
_SPREAD_STEPS = 2
_LEAST_AT_PEAK = 3  # as many as within the spread
COARSEST_STEP = 0.01  # a little more than that of 8 bit
# A square wave's flanks rise so far, in units of its swing, in four samples.
_EDGE, _EDGE_SAMPLES = 0.7, 4
_REST = 0.3
_LEAST_HEIGHT = 0.01  # of a rail above the centre, in units of the range
_MOST_EDGES, _LEAST_EDGES = 0.997, 0.9


class Extremes(NamedTuple):
  """Each channel's upper extreme, and the lower one's negative, `[2, c]`."""

  peak: np.ndarray
  step: np.ndarray  # of the quantisation next to it, 0 if there is none
  centre: np.ndarray  # the mean and its negative

  @property
  def half_range(self) -> np.ndarray:
    """Half the difference of both extremes, `[channels]`."""
    return self.peak.sum(axis=0) / 2


def find_extremes(blocks: Iterable[np.ndarray]) -> Extremes:
  """Reads a recording `[time, channels]` for its extremes."""
  tops, total, count = None, 0.0, 0
  for block in blocks:
    sides = _sides(block)
    tops = tops or [np.empty(0)] * sides.shape[1]
    tops = [_largest(t, x) for t, x in zip(tops, sides.T, strict=True)]
    total, count = total + sides.sum(axis=0), count + len(block)
  if tops is None:
    raise UserError("the recording is empty; give one that holds samples")
  peak = np.array([top[0] if len(top) else 0.0 for top in tops])
  step = np.array([_quantisation_step(top) for top in tops])
  centre = total / max(count, 1)
  return Extremes(*(x.reshape(2, -1) for x in (peak, step, centre)))


def _sides(block: np.ndarray) -> np.ndarray:
  """Returns the channels and their negatives, `[time, 2 * channels]`."""
  block = np.asarray(block, np.float64)
  return np.concatenate([block, -block], axis=1)


def _largest(top: np.ndarray, samples: np.ndarray) -> np.ndarray:
  """Returns the largest distinct values of both, descending."""
  least = top[-1] if len(top) == _DISTINCT else -np.inf
  values = np.unique(np.concatenate([top, samples[samples > least]]))
  return values[: -_DISTINCT - 1 : -1]


def _quantisation_step(top: np.ndarray) -> float:
  """Returns the step whose multiples all gaps are; 0 if there is none."""
  gaps = -np.diff(top)
  # Among few values no two need to be a single step apart.
  for parts in (1, 2, 3, 4):
    step = gaps.min(initial=np.inf) / parts
    multiples = gaps / step
    if np.all(abs(multiples - np.round(multiples)) < 0.02):
      return step if step < COARSEST_STEP else 0.0
  return 0.0


class HeldPeaks:
  """Counts, block by block, samples that hold an extreme or come near it."""

  def __init__(self, extremes: Extremes) -> None:
    self._extremes = extremes
    peak = extremes.peak.reshape(-1)
    swing = np.tile(2 * extremes.half_range, 2)
    height = peak - extremes.centre.reshape(-1)
    steps = (_BAND_STEPS + 0.5) * extremes.step.reshape(-1)
    self._floor = peak - np.maximum(_BAND * height, steps)
    # Dither spreads a plateau over a few steps; coarse ones tell nothing.
    spread = (_SPREAD_STEPS + 0.5) * extremes.step.reshape(-1)
    self._spread = np.where(spread < _BAND * height, peak - spread, peak)
    self._threshold = peak - FLOAT32_ROUNDING * abs(peak)
    self._foot = peak - _EDGE * swing
    self._rest = peak - _REST * swing
    self._held, self._near, self._beside, self._tops = np.zeros(
      (4, len(peak)), int
    )
    self._edges = np.zeros((2, len(peak)), int)  # before and after tops
    self._is_run = np.zeros(len(peak), bool)
    self._before = np.full((_EDGE_SAMPLES, len(peak)), -np.inf)

  def add(self, block: np.ndarray) -> None:
    """Counts a block's samples, `[time, channels]`."""
    sides = np.concatenate([self._before, _sides(block)])
    self._before = sides[-_EDGE_SAMPLES:]
    for k, samples in enumerate(np.ascontiguousarray(sides.T)):
      new = samples[_EDGE_SAMPLES:]
      self._near[k] += np.count_nonzero(new >= self._floor[k])
      self._beside[k] += np.count_nonzero(new >= self._spread[k])
      at = np.flatnonzero(samples >= self._threshold[k])
      follows = np.diff(at, prepend=-2) == 1
      self._is_run[k] |= bool(np.any(follows[1:] & follows[:-1]))
      is_new = at >= _EDGE_SAMPLES
      self._held[k] += np.count_nonzero(is_new)
      begin = at[is_new & ~follows]
      self._tops[k] += len(begin)
      is_low = samples <= self._foot[k]
      # A square wave also jumps to rests.
      is_still = samples[1:] == samples[:-1]
      is_low[1:] |= is_still & (samples[1:] < self._rest[k])
      # Any of four samples before, any of four behind.
      is_low[3:] |= is_low[2:-1] | is_low[1:-2] | is_low[:-3]
      self._edges[0, k] += np.count_nonzero(is_low[begin - 1])
      # The end of a top is counted with the sample that is four behind it.
      end = at[np.diff(at, append=len(samples) + 1) != 1] + _EDGE_SAMPLES
      end = end[end < len(samples)]
      self._edges[1, k] += np.count_nonzero(is_low[end])

  def rails(self, *, of_squares: bool = False) -> np.ndarray:
    """Returns the clipped peaks, `[2, channels]`, infinite elsewhere.

    Args:
      of_squares: takes square waves as clipped, too, which is right where all
        is known to be: a sine driven hard enough is one.
    """
    peak, step, centre = self._extremes
    is_held = self._is_run & (self._held > self._near - self._held)
    is_held &= self._held > _LEAST_AT_PEAK * (self._beside - self._held)
    is_held = is_held.reshape(2, -1) & (peak - centre > _BAND_STEPS * step)
    # Silence with a click on one side has the other extreme at its centre.
    is_held &= peak - centre > _LEAST_HEIGHT * (peak[0] + peak[1])
    if not of_squares:
      # A wave that jumps to both extremes, or from both, is square by nature.
      # But for a first and a last top.
      is_edgy = self._edges > _MOST_EDGES * (self._tops - 2)
      is_edgy &= self._edges >= _LEAST_EDGES * self._tops
      is_edgy = is_edgy.reshape(2, 2, -1)
      is_held &= ~np.any(np.all(is_edgy & is_held, axis=1), axis=0)
    is_held &= peak[0] > -peak[1]
    rounding = np.maximum(FLOAT32_ROUNDING * peak[0], 1.5 * step.max(axis=0))
    is_held |= is_held.any(axis=0) & (abs(peak[0] - peak[1]) <= rounding)
    return np.where(is_held, peak, np.inf)
