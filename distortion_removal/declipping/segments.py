"""Cuts recordings into overlapping segments of a few static lengths.

For methods that work on a signal as a whole: their memory stays flat in its
length, and what needs no work costs none.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Segment(NamedTuple):
  """Samples of a channel."""

  item: int
  channel: int
  index: int  # within the channel
  start: int
  stop: int
  length: int  # with padding

  def of(self, audio: np.ndarray) -> np.ndarray:
    """Returns a view of its samples in `[batch, time, channels]`."""
    return audio[self.item, self.start : self.stop, self.channel]


class Cut(NamedTuple):
  """The lengths of segments, in samples."""

  longest: int  # of all but a channel's last; a multiple of `step`
  step: int  # all lengths are multiples of it, by padding
  shared: int  # overlap of a segment and the next

  def evenly(self, time: int) -> "Cut":
    """Returns the cut into as many segments, of about the same length."""
    count = max(1, -(-(time - self.shared) // (self.longest - self.shared)))
    shared = self.shared if count > 1 else 0
    length = -(-(time + (count - 1) * shared) // count)
    steps = max(1, -(-length // self.step))
    return Cut(steps * self.step, self.step, shared)

  def spans(self, time: int) -> list[tuple[int, int]]:
    """Returns start and stop of the segments, one or more, of a channel."""
    advance = self.longest - self.shared
    count = max(1, -(-(time - self.shared) // advance))
    starts = (i * advance for i in range(count))
    return [(start, min(start + self.longest, time)) for start in starts]

  def segments(self, is_wanted: np.ndarray) -> list[Segment]:
    """Returns segments that hold a wanted sample, equal lengths together."""
    found = []
    for index, (start, stop) in enumerate(self.spans(is_wanted.shape[1])):
      length = -(-(stop - start) // self.step) * self.step
      for item, channel in np.argwhere(is_wanted[:, start:stop].any(axis=1)):
        found.append(Segment(item, channel, index, start, stop, length))
    return found

  def weight(self, segment: Segment, time: int) -> np.ndarray:
    """Returns weights of its samples; overlapping segments' add up to 1."""
    phase = (np.arange(self.shared) + 0.5) / self.shared
    fade = np.sin(np.pi / 2 * phase) ** 2
    weight = np.ones(segment.stop - segment.start)
    if segment.start > 0:
      weight[: self.shared] = fade
    if segment.stop < time:
      weight[-self.shared :] = fade[::-1]
    return weight


def pad_short(audio: np.ndarray, time: int, cut: Cut) -> np.ndarray:
  """Appends zeros to a recording of one segment, up to one of a few lengths.

  Programs are compiled for a length, which takes longer than the work on a
  short recording. So there are few lengths, of 8, 12, 16, 20 … 32, 40 … steps,
  for the files of an album to share.

  Args:
    audio: a segment `[..., time]`.
    time: samples of the recording; of several segments, each stays as it is.
    cut: the lengths of segments, of which those of the recording are made.
  """
  steps = max(8, -(-audio.shape[-1] // cut.step))
  unit = max(4, (1 << (steps - 1).bit_length()) // 8)
  length = min(-(-steps // unit) * unit * cut.step, cut.longest)
  missing = length - audio.shape[-1]
  if time > cut.longest or missing <= 0:
    return audio
  return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, missing)])


def group_segments(
  segments: Iterable[Segment], most: int
) -> Iterator[list[Segment]]:
  """Yields successive segments of equal length, `most` at a time."""
  for _, group in itertools.groupby(segments, lambda segment: segment.length):
    while members := list(itertools.islice(group, most)):
      yield members
