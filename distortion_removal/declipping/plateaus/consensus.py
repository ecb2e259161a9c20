"""Rails over time, from flat tops that agree.

One flat top proves little: some natural ones are. A rail shows in many of one
level, with no round peak of that level or above around them. Both are judged
in the second around each: a fade or a change of gain moves a rail, and a peak
that was not clipped hides it only where it stands.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.declipping.plateaus.flat_tops import (
  FLAT,
  ROUND,
  FlatTops,
  flat_tops,
)

# Tops are compared within cells of so many samples and their neighbours, and
# cells with so many on both sides.
CELL = 512
REACH = 32
# Tolerances, in units of the channel's half range: one suits, the smallest of
# those that find about as many.
_TOLERANCES = (1e-4, 4e-4, 1.6e-3, 6e-3, 2e-2, 6e-2)
_ABOUT_AS_MANY = 0.85
_LEAST_AGREEING = 6
_LEAST_TO_DISAGREEING = 2.0
_LEAST_LEVEL = 0.02  # in units of the half range
# The flanks of clipped music differ; those of square waves are all alike.
_LEAST_VARIETY = 1.3
_THINNED = 1 << 13
_DISTANCE = np.arange(-REACH, REACH + 1)
_ROUNDING = 2.0**-22  # of float32


class Knots(NamedTuple):
  """A rail at some times, and the flat tops that it is known from."""

  time: np.ndarray  # in samples
  level: np.ndarray
  width: np.ndarray  # how far below the level clipped samples lie
  tops: np.ndarray
  strong: np.ndarray  # tops that can hardly be anything else

  def where(self, chosen: np.ndarray) -> "Knots":
    """Returns some of the knots."""
    return Knots(*(part[chosen] for part in self))


NO_KNOTS = Knots(*np.zeros((5, 0)))


def find_knots(
  samples: np.ndarray, core: slice, *, step: float, half_range: float
) -> tuple[list[Knots], list[FlatTops]]:
  """Finds the knots of the upper and the lower rail within the core.

  Args:
    samples: `[time]` of one channel about its centre.
    core: the samples to search; the others are context.
    step: of their quantisation.
    half_range: of the whole channel.

  Returns:
    The knots of both, those of the lower rail of the samples' negative; and the
    tops that can hardly be anything but cut, for each tolerance.
  """
  heights = [_cell_maxima(sign * samples) for sign in (1, -1)]
  best = [NO_KNOTS, NO_KNOTS]
  strong = []
  tolerances = {max(1.5 * step, x * half_range) for x in _TOLERANCES}
  # From the largest on: a smaller one replaces it if it finds about as many.
  for tolerance in sorted(tolerances, reverse=True):
    tops = flat_tops(samples, tolerance, step)
    strong.append(tops.where(tops.is_strong))
    for side, sign in enumerate((1, -1)):
      chosen = tops.where(tops.is_upper == (sign > 0))
      chosen = chosen._replace(level=sign * chosen.level)
      knots = _agreeing(
        chosen,
        heights[side],
        tolerance,
        core,
        _LEAST_LEVEL * half_range,
        max(step / 2, _ROUNDING * half_range),
      )
      strong_tops = np.sum(knots.strong), np.sum(best[side].strong)
      if strong_tops[0] > _ABOUT_AS_MANY * strong_tops[1]:
        best[side] = knots
  return best, strong


def _agreeing(
  tops: FlatTops,
  heights: np.ndarray,
  tolerance: float,
  core: slice,
  least_level: float,
  least_width: float,
) -> Knots:
  """Returns the knots of one side from the tops that agree."""
  count = len(heights)
  cell = (tops.start + tops.size // 2) // CELL
  near = _around(heights)
  is_highest = tops.level + tops.spread / 2 >= near[cell] - 2 * tolerance
  tops, cell = tops.where(is_highest), cell[is_highest]
  is_flat = tops.flatness >= FLAT
  flat, round_ = (
    np.bincount(cell[x], minlength=count)
    for x in (is_flat, tops.flatness < ROUND)
  )
  tops, cell = tops.where(is_flat), cell[is_flat]
  size = np.bincount(cell, weights=tops.size, minlength=count)
  level = np.bincount(cell, weights=tops.size * tops.level, minlength=count)
  level = level / np.maximum(size, 1)

  has_flat = flat > 0
  # A cell that is the highest around, and has no flat top.
  is_peak = ~has_flat & (heights >= near)
  start = np.arange(count) * CELL
  is_core = (start >= core.start) & (start < core.stop)
  rows = np.flatnonzero(has_flat & (level > least_level) & is_core)
  has, there = _windows(has_flat)[rows], _windows(level)[rows]
  expected = level[rows, None] + _drift(there, has) * _DISTANCE
  above = there - expected
  agrees = has & (abs(above) <= 2 * tolerance)
  agreeing = np.sum(agrees * _windows(flat)[rows], axis=1)
  disagreeing = np.sum(
    agrees * _windows(round_)[rows]
    + (
      _windows(is_peak)[rows]
      & (_windows(heights)[rows] >= expected - 2 * tolerance)
    )
    + (has & (above > 2 * tolerance)),
    axis=1,
  )
  is_sure = (agreeing >= _LEAST_AGREEING) & (
    agreeing >= _LEAST_TO_DISAGREEING * disagreeing
  )
  is_knot = np.zeros(count, bool)
  is_knot[rows[is_sure]] = True

  error = abs(tops.level - level[cell])
  tops_there = is_knot[cell] & (error <= 2 * tolerance)
  if not tops_there.any():
    return NO_KNOTS
  strong_there = tops_there & tops.is_strong
  if not strong_there.any():
    return NO_KNOTS
  flank = (tops.flank / tops.level)[strong_there]
  flanks = np.quantile(flank, (0.25, 0.75))
  if flanks[1] < _LEAST_VARIETY * flanks[0]:
    return NO_KNOTS
  width = np.quantile((error + tops.spread / 2)[tops_there], 0.9)
  width = max(width, least_width)
  counts = (
    np.bincount(cell[tops_there & chosen], minlength=count)
    for chosen in (True, tops.is_strong)
  )
  knots = Knots(start + CELL / 2, level, np.full(count, width), *counts)
  knots = knots.where(is_knot)
  if np.ptp(knots.level) <= max(2 * width, tolerance):
    knots = _thinned(knots, np.average(level, weights=size * is_knot))
  return knots


def _thinned(knots: Knots, level: float) -> Knots:
  """Keeps few knots of a level that stays."""
  part = knots.time // _THINNED
  first = np.flatnonzero(np.diff(part, prepend=-1))
  tops, strong = (np.add.reduceat(x, first) for x in knots[-2:])
  return Knots(
    knots.time[first],
    np.full(len(first), level),
    knots.width[first],
    tops,
    strong,
  )


def _drift(levels: np.ndarray, has_flat: np.ndarray) -> np.ndarray:
  """Returns how fast most levels around drift, `[rows, 1]`: fades move them."""
  if not len(levels):
    return np.zeros((0, 1))
  own = levels[:, REACH, None]
  distance = np.where(_DISTANCE == 0, np.inf, _DISTANCE)
  slopes = np.where(has_flat, (levels - own) / distance, np.nan)
  return np.nanmedian(slopes, axis=1, keepdims=True)


def _cell_maxima(samples: np.ndarray) -> np.ndarray:
  padded = np.pad(samples, (0, -len(samples) % CELL), constant_values=-np.inf)
  return padded.reshape(-1, CELL).max(axis=1)


def _around(heights: np.ndarray) -> np.ndarray:
  """Returns the maxima of cells and both neighbours."""
  padded = np.pad(heights, 1, constant_values=-np.inf)
  return np.maximum(heights, np.maximum(padded[:-2], padded[2:]))


def _windows(cells: np.ndarray) -> np.ndarray:
  """Returns the cells around each, `[cells, 2 * REACH + 1]`."""
  fill = -np.inf if cells.dtype == float else 0
  padded = np.pad(cells, REACH, constant_values=fill)
  return sliding_window_view(padded, 2 * REACH + 1)
