"""Marks the samples at rails that move, or that noise has blurred."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

# A rail is known so far, in samples, from where it was seen.
_REACH = 1 << 15
_CONTEXT = 1 << 11
_BLOCK = 1 << 16
# Samples so many widths above a rail are no blurred ones.
_BEYOND = 3.0
# How far below it clipped samples lie, in widths: most of them, and those
# between two that are so many samples apart.
_BELOW, _FAR_BELOW, _LONGEST_GAP = 2.0, 5.0, 5
_SMOOTH = 0.03  # change of a level between knots that is no step


class Track(NamedTuple):
  """A rail of one channel over time, about the channel's centre."""

  channel: int
  sign: int  # 1 for an upper rail, -1 for a lower one
  time: np.ndarray  # of the knots, in samples, ascending
  level: np.ndarray  # above 0 for both signs
  width: np.ndarray  # how far below the level clipped samples lie
  tops: np.ndarray  # that it is known from
  strong: np.ndarray  # of them, those that can hardly be anything else
  is_constant: bool  # holds wherever samples reach it
  is_sure: bool

  def spans(self) -> list[slice]:
    """Returns runs of knots between which the level only drifts."""
    change = abs(np.diff(self.level))
    is_step = change > self._drift()[1:]
    is_step |= (np.diff(self.time) > 2 * _REACH) & (not self.is_constant)
    ends = [0, *np.flatnonzero(is_step) + 1, len(self.time)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]

  def _drift(self) -> np.ndarray:
    return 4 * self.width + _SMOOTH * self.level

  def at(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns level and width at some times; infinite where not known."""
    if self.is_constant:
      shape = np.shape(time)
      return np.full(shape, self.level[0]), np.full(shape, self.width.max())
    right = np.searchsorted(self.time, time).clip(1, len(self.time) - 1)
    left = right - 1
    since, until = time - self.time[left], self.time[right] - time
    nearest = np.where(since <= until, left, right)
    level, width = self.level[nearest], self.width[nearest]
    change = self.level[right] - self.level[left]
    is_smooth = (since >= 0) & (until >= 0) & (since + until <= 2 * _REACH)
    is_smooth &= abs(change) <= self._drift()[right]
    share = since / np.maximum(since + until, 1)
    level = np.where(is_smooth, self.level[left] + share * change, level)
    distance = np.minimum(abs(since), abs(until))
    return np.where(distance <= _REACH, level, np.inf), width


def mark(track: Track, samples: np.ndarray, start: int) -> np.ndarray:
  """Returns which of a channel's samples are at the rail, bool.

  Args:
    track: the rail.
    samples: `[time]` about the channel's centre.
    start: time of the first.
  """
  level, width = track.at(np.arange(start, start + len(samples)))
  height = track.sign * samples
  # A clipped sample taken for a reliable one holds its neighbours down; a
  # reliable one taken for clipped is only known less well.
  is_near = height >= level - _BELOW * width
  is_near |= _gaps(is_near) & (height >= level - _FAR_BELOW * width)
  ends = np.flatnonzero(np.diff(is_near, prepend=False, append=False))
  first, last = ends[::2], ends[1::2]
  if not len(first):
    return is_near
  # A peak that goes on above the rail was not clipped there.
  beyond = np.append(0, np.cumsum(height > level + _BEYOND * width))
  is_clipped = 2 * (beyond[last] - beyond[first]) <= last - first
  run = np.cumsum(np.diff(is_near, prepend=False) & is_near) - 1
  return is_near & is_clipped[np.maximum(run, 0)]


def _gaps(marked: np.ndarray) -> np.ndarray:
  """Returns what lies between marked samples that are close to each other."""
  at = np.flatnonzero(marked)
  gap = np.diff(at)
  is_short = (gap > 1) & (gap <= _LONGEST_GAP + 1)
  edges = np.zeros(len(marked) + 1, int)
  edges[at[:-1][is_short]] += 1
  edges[at[1:][is_short]] -= 1
  return np.cumsum(edges)[:-1] > 0


def with_context(
  blocks: Iterable[np.ndarray], size: int = _BLOCK, context: int = _CONTEXT
) -> Iterator[tuple[int, np.ndarray, slice]]:
  """Cuts a stream `[time, channels]` into cores with what is around them.

  Yields:
    The time of the first sample, the samples, and the core among them.
  """
  held, start, done = None, 0, 0  # of `held`; of what was a core
  for block in blocks:
    held = [block] if held is None else [*held, block]
    if start + sum(map(len, held)) < done + size + context:
      continue
    joined = np.concatenate(held)
    while start + len(joined) >= done + size + context:
      end = done + size + context - start
      yield start, joined[:end], slice(done - start, done - start + size)
      done += size
      joined = joined[max(0, done - context - start) :]
      start = max(start, done - context)
    held = [joined]
  if held is not None:
    joined = np.concatenate(held)
    if start + len(joined) > done:
      yield start, joined, slice(done - start, len(joined))
