"""Declips segment by segment, for methods that only need bounds of samples.

All that such a method knows of a recording is the interval that holds each
sample: a point for a reliable one, what lies beyond the rail for a clipped one,
zero around the recording. It works in units of the rail, so that its result
scales with its input.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from distortion_removal.common.log import Progress
from distortion_removal.declipping.clip_level import (
  Rails,
  bounds,
  clip_signs,
  farther_rails,
)
from distortion_removal.declipping.segments import Cut, Segment
from distortion_removal.declipping.side_by_side import call_side_by_side


class SegmentInfo(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio was taken to be clipped.
    segments: number of those with a clipped sample, which were declipped.
  """

  rails: Rails
  segments: int


def declip_segments(
  solve: Callable[[int, np.ndarray, np.ndarray], jax.Array],
  audio: np.ndarray,
  rails: Rails,
  cut: Cut,
  *,
  precision: str,
  show_progress: bool,
) -> tuple[np.ndarray, SegmentInfo]:
  """Declips the segments with a clipped sample, each on one core.

  Args:
    solve: takes an item's index and the low and high ends of the intervals of
      one of its segments, `[channels, length]` in units of `rail_units`;
      returns a signal near them.
    audio: `[batch, time, channels]`.
    rails: its rails.
    cut: the lengths of segments.
    precision: type of the ends that are given to `solve`.
    show_progress: as declippers have it.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32. Reliable samples are the audio's to the bit, clipped ones are at
    the rail or beyond.
  """
  signs = clip_signs(audio, rails)
  dtype = np.result_type(audio, precision)
  low, high = (x.astype(dtype) for x in bounds(audio, rails, signs))
  units = rail_units(rails)
  restored = np.clip(dtype.type(0), low, high)

  def call(segment: Segment) -> np.ndarray:
    padding = (0, 0), (0, segment.length - (segment.stop - segment.start))
    ends = (
      np.pad((_of(segment, end) / units[segment.item]).T, padding)
      for end in (low, high)
    )
    with jax.enable_x64(precision == "float64"):
      signal = solve(segment.item, *(x.astype(precision) for x in ends))
      return jax.device_get(signal)

  # All channels of a segment together: the first stands for them.
  segments = cut.segments((signs != 0).any(axis=2, keepdims=True))
  with Progress(
    len(segments),
    "declipped %.0f %% of the clipped segments",
    unit="segment",
    is_shown=show_progress,
  ) as progress:
    for segment, signal in call_side_by_side(call, segments):
      part = _of(segment, restored)
      signal = signal[:, : len(part)].T * units[segment.item]
      start = np.clip(0, _of(segment, low), _of(segment, high))
      weight = cut.weight(segment, audio.shape[1])[:, None]
      part += (weight * (signal - start)).astype(dtype)
      progress.advance(1)
  restored = np.where(signs == 0, audio, np.clip(restored, low, high))
  return restored, SegmentInfo(rails, len(segments))


def rail_units(rails: Rails) -> np.ndarray:
  """Returns each channel's farther rail, `[batch, channels]`.

  A channel without a rail has that of the item's channel with the farthest.
  """
  has_rail = np.isfinite(rails.low) | np.isfinite(rails.high)
  farther = np.where(has_rail, farther_rails(rails), 0)
  farthest = farther.max(axis=1, keepdims=True, initial=0)
  units = np.where(has_rail, farther, farthest)
  return np.where(units > 0, units, 1)


def _of(segment: Segment, audio: np.ndarray) -> np.ndarray:
  """Returns a view of the segment in all channels, `[time, channels]`."""
  return audio[segment.item, segment.start : segment.stop]
