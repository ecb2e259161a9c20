"""Which frames of a file PEAQ looks at, as PQevalAudio chooses them."""

import dataclasses

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.metrics.peaq.ear_model import FRAME, HOP

_WINDOW = 5  # samples whose magnitudes must sum to more than ...
_THRESHOLD = 200.0  # ... this, at the scale of 16-bit integers
_SEARCH_STEP = 2044  # PQevalAudio searches file buffers of 2048 samples


@dataclasses.dataclass(frozen=True)
class Span:
  """The frames of a file, every 1024 samples from its first one.

  Attributes:
    first: the first frame that counts; those before it warm the filters up.
    count: frames from the start of the file to the last one that counts.
  """

  first: int
  count: int


def find_span(target: np.ndarray) -> Span:
  """The frames from where the target starts to where it ends.

  It starts with the first five samples of a channel that are loud enough. Of
  two channels that start within one buffer of PQevalAudio the later counts,
  which moves the first frame by two at most. The last frame still has half of
  its samples before the end.

  Args:
    target: `[time, channels]` at the scale of 16-bit integers.

  Returns:
    The frames; `count <= first`, none, where the target is too short or never
    loud enough.
  """
  magnitudes = np.abs(target)
  starts = _starts(magnitudes)
  ends = len(target) - 1 - _starts(magnitudes[::-1])
  if not starts.size:
    return Span(first=0, count=0)
  buffers = starts // _SEARCH_STEP
  first = starts[buffers == buffers.min()].max() // HOP
  return Span(first=int(first), count=int((ends.max() + 1 - HOP) // HOP + 1))


def _starts(magnitudes: np.ndarray) -> np.ndarray:
  """The first sample of every channel that has a loud one."""
  if len(magnitudes) < _WINDOW:
    return np.array([], int)
  total = np.cumsum(magnitudes, axis=0)
  total[_WINDOW:] -= total[:-_WINDOW].copy()
  loud = total[_WINDOW - 1 :] > _THRESHOLD
  return np.argmax(loud, axis=0)[loud.any(axis=0)]


def frames_of(channel: np.ndarray, span: Span) -> np.ndarray:
  """The frames of `[time]`, with zeros after its end: `[count, 2048]`."""
  length = (span.count - 1) * HOP + FRAME
  padding = max(length - len(channel), 0)
  padded = np.pad(channel[:length], (0, padding))
  return sliding_window_view(padded, FRAME)[::HOP]
