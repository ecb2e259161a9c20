"""Puts reliable samples back into a declipped recording.

Záviška, Rajmic and Mokrý, "Audio declipping performance enhancement via
crossfading", Signal Processing 192, 2022: putting all of them back makes the
result agree with the recording, but may leave steps where clipping begins and
ends. So those nearest to a clipped sample stay partly as restored. (The shape
of the fade is ours.)
"""

import numpy as np


def put_reliable_back(
  restored: np.ndarray,
  audio: np.ndarray,
  signs: np.ndarray,
  fade_samples: int,
) -> np.ndarray:
  """Puts the reliable samples back, but for fades next to the clipped ones.

  A fade is a raised cosine of the distance, 0 at the clipped sample.

  Args:
    restored: `[batch, time, channels]`, a declipper's result for the audio;
      what is returned has its type.
    audio: the recording, of the same shape.
    signs: nonzero at its clipped samples, of the same shape.
    fade_samples: length of a fade; 0 puts all reliable samples back.
  """
  fade = np.sin(np.linspace(0, np.pi / 2, fade_samples + 2)) ** 2
  distance = _distance(signs != 0, fade_samples + 1)
  weight = fade.astype(restored.dtype)[distance]
  return weight * audio.astype(restored.dtype) + (1 - weight) * restored


def _distance(marked: np.ndarray, limit: int) -> np.ndarray:
  """Returns samples to the channel's nearest marked one, at most `limit`."""
  time = np.arange(marked.shape[1])[:, None]
  last = np.where(marked, time, -limit)
  following = np.where(marked, time, len(time) + limit)[:, ::-1]
  before = time - np.maximum.accumulate(last, axis=1)
  behind = np.minimum.accumulate(following, axis=1)[:, ::-1] - time
  return np.minimum(np.minimum(before, behind), limit)
