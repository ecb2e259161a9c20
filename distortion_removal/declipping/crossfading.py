"""Puts reliable samples back into a declipped recording.

Záviška, Rajmic and Mokrý, "Audio declipping performance enhancement via
crossfading", Signal Processing 192, 2022: putting all of them back makes the
result agree with the recording, but may leave steps where clipping begins and
ends. So the nearest to a clipped sample stay partly as restored. (The shape of
the fade is ours.)
"""

import numpy as np

from distortion_removal.common.errors import UserError


def check(length: int | None) -> None:
  """Raises UserError for a length that is none; None is one."""
  if length is not None and length < 0:
    raise UserError(f"crossfade of {length} samples; give 0 or more")


def crossfade(
  restored: np.ndarray, audio: np.ndarray, signs: np.ndarray, *, length: int
) -> np.ndarray:
  """Puts the reliable samples back, fading over beside the clipped ones.

  The fade is a raised cosine of the distance, 0 at the clipped sample.

  Args:
    restored: `[batch, time, channels]`, what a declipper made of audio; the
      result has its type.
    audio: the recording, of the same shape.
    signs: which of its samples are clipped, of the same shape.
    length: samples of a fade; 0: all reliable samples are put back.

  Raises:
    UserError: the length is negative.
  """
  check(length)
  fade = np.sin(np.linspace(0, np.pi / 2, length + 2)) ** 2
  weight = fade.astype(restored.dtype)[_distance(signs != 0, length + 1)]
  return weight * audio.astype(restored.dtype) + (1 - weight) * restored


def _distance(marked: np.ndarray, limit: int) -> np.ndarray:
  """Samples to the nearest marked one of the channel, at most `limit`."""
  time = np.arange(marked.shape[1])[:, None]
  last = np.where(marked, time, -limit)
  following = np.where(marked, time, len(time) + limit)[:, ::-1]
  before = time - np.maximum.accumulate(last, axis=1)
  behind = np.minimum.accumulate(following, axis=1)[:, ::-1] - time
  return np.minimum(np.minimum(before, behind), limit)
