"""Finds clipping in recordings as people have them.

A clipper leaves plateaus of one value at a channel's extremes, see `exact`.
What happens to a recording afterwards blurs, tilts and moves them (dither,
noise, resampling, codecs, AC coupling, fades, gain) or leaves peaks above them;
then flat tops that agree tell of the rail, see `flat_tops` and `consensus`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from distortion_removal.declipping.plateaus import consensus
from distortion_removal.declipping.plateaus.consensus import Knots, find_knots
from distortion_removal.declipping.plateaus.coupling import (
  common_decay,
  decays,
  undo_coupling,
)
from distortion_removal.declipping.plateaus.exact import (
  COARSEST_STEP,
  FLOAT32_ROUNDING,
  Extremes,
  HeldPeaks,
  find_extremes,
)
from distortion_removal.declipping.plateaus.marking import (
  Track,
  mark,
  with_context,
)

Read = Callable[[], Iterable[np.ndarray]]

_BLOCK = 1 << 18
_CONTEXT = (consensus.REACH + 1) * consensus.CELL
# Among a clipped channel's flat tops so many can hardly be anything else; of
# clean recordings' few that agree, hardly any.
_LEAST_STRONG = 16
_LEAST_STRONG_SHARE = 0.5
_LEAST_NAMED = 8  # of a rail that is worth a word
_LARGEST_WIDTH = 0.12  # in units of the level
_ENOUGH = 0.9  # tops, made level, of those known as they were
_MOST_DECAYS = 20_000


class Plateaus(NamedTuple):
  """Where a recording is clipped."""

  rails: np.ndarray  # [2, channels]: upper, and lower ones' negatives; or inf
  tracks: tuple[Track, ...]  # of rails that are not of one value
  doubtful: tuple[Track, ...]  # which may be none
  extremes: Extremes
  decay: np.ndarray  # [channels], of an AC coupling, else 0

  def marked(
    self, blocks: Iterable[np.ndarray]
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields a recording's blocks with marks as of `clip_signs`."""
    channels = len(self.decay)
    centre = self.extremes.centre[0]
    for start, both, core in with_context(
      _with_level_tops(blocks, self.decay, centre)
    ):
      block, level = both[:, :channels], both[:, channels:]
      signs = np.zeros(block.shape, np.int8)
      for sign, side in zip((1, -1), self.rails, strict=True):
        rounding = FLOAT32_ROUNDING * np.where(np.isinf(side), 0.0, abs(side))
        signs[sign * block >= side - rounding] = sign
      for track in self.tracks:
        there = mark(track, level[:, track.channel], start)
        signs[there, track.channel] = track.sign
      yield block[core], signs[core]


def find_plateaus(read: Read) -> Plateaus:
  """Finds the clipping of a recording in bounded memory.

  Args:
    read: returns the whole recording, as blocks `[time, channels]`; called
      three times at most.
  """
  extremes = find_extremes(read())
  channels = extremes.peak.shape[1]
  no_decay = np.zeros(channels)
  held = HeldPeaks(extremes)
  knots, decay = _survey(read, extremes, no_decay, held)
  rails = held.rails()
  tracks = _tracks(knots, rails, extremes)
  if decay.any():
    level_knots, _ = _survey(read, extremes, decay)
    level_tracks = _tracks(level_knots, rails, extremes)
    decay = decay * [
      _tops(level_tracks, k) >= _ENOUGH * _tops(tracks, k)
      for k in range(channels)
    ]
    tracks = [x for x in tracks if not decay[x.channel]] + [
      x for x in level_tracks if decay[x.channel]
    ]
  sure, doubtful = (
    tuple(x for x in tracks if x.is_sure == is_sure)
    for is_sure in (True, False)
  )
  return Plateaus(rails, sure, doubtful, extremes, decay)


def _with_level_tops(
  blocks: Iterable[np.ndarray], decay: np.ndarray, centre: np.ndarray
) -> Iterator[np.ndarray]:
  """Yields blocks, and next to their channels those with level tops."""
  states = [np.zeros(1) for _ in decay]
  for block in blocks:
    level = undo_coupling(block, decay, centre, states)
    yield np.concatenate([block, level], axis=1)


def _survey(
  read: Read,
  extremes: Extremes,
  decay: np.ndarray,
  held: HeldPeaks | None = None,
) -> tuple[list[list[list[Knots]]], np.ndarray]:
  """Reads a recording for its flat tops.

  Returns:
    Knots by channel and side; and the decay of the tops of each channel.
  """
  channels = len(decay)
  knots = [[[], []] for _ in range(channels)]
  seen = [[np.zeros(0)] for _ in range(channels)]
  stream = _with_level_tops(read(), decay, extremes.centre[0])
  for start, both, core in with_context(stream, _BLOCK, _CONTEXT):
    if held is not None:
      held.add(both[core, :channels])
    for channel, samples in enumerate(both[:, channels:].T):
      half_range = extremes.half_range[channel]
      if not half_range > 0:
        continue
      samples = np.ascontiguousarray(samples)
      step = _step(both[:, channel])
      found, strong = find_knots(
        samples, core, step=step, half_range=half_range
      )
      for side, part in enumerate(found):
        if len(part.time):
          part = part._replace(time=part.time + start)
          knots[channel][side].append(part)
      if sum(map(len, seen[channel])) < _MOST_DECAYS:
        seen[channel] += map(decays, strong)
  shared = [common_decay(np.concatenate(x)) for x in seen]
  return knots, np.array(shared)


def _step(samples: np.ndarray) -> float:
  """Returns the least change, which quantisation makes its step."""
  change = abs(np.diff(samples))
  step = np.min(change, where=change > 0, initial=np.inf)
  return step if step < COARSEST_STEP else 0.0


def _tracks(
  knots: list[list[list[Knots]]], rails: np.ndarray, extremes: Extremes
) -> list[Track]:
  """Returns the rails that the knots tell of, other than those in `rails`."""
  tracks = []
  for channel, sides in enumerate(knots):
    for side, parts in enumerate(sides):
      if not parts:
        continue
      all_ = Knots(*(np.concatenate(x) for x in zip(*parts, strict=True)))
      exact = rails[side, channel] - extremes.centre[side, channel]
      all_ = all_.where(~(abs(all_.level - exact) <= 3 * all_.width))
      tops, strong = np.sum(all_.tops), np.sum(all_.strong)
      if strong < _LEAST_NAMED:
        continue
      is_sure = strong >= max(_LEAST_STRONG, _LEAST_STRONG_SHARE * tops)
      is_sure &= np.median(all_.width / all_.level) <= _LARGEST_WIDTH
      is_constant = np.ptp(all_.level) <= 2 * all_.width.max()
      is_constant &= np.isinf(exact)
      if is_constant:
        level = np.average(all_.level, weights=all_.tops)
        all_ = all_._replace(level=np.full(len(all_.level), level))
      tracks.append(
        Track(channel, 1 - 2 * side, *all_, bool(is_constant), bool(is_sure))
      )
  return tracks


def _tops(tracks: list[Track], channel: int) -> int:
  """Returns how many flat tops a channel's sure rails are known from."""
  return sum(
    np.sum(x.tops) for x in tracks if x.channel == channel and x.is_sure
  )
