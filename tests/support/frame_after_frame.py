"""Declipping by frames as a loop, for oracles of one frame."""

import numpy as np

FRAME, HOP = 64, 16


def frame_after_frame(audio, level, declip_frame):
  """Declips all frames centred on multiples of HOP that overlap a signal.

  Args:
    audio: `[time]`.
    level: where it is clipped.
    declip_frame: function of a windowed frame and the signs of its clipped
      samples to the restored frame and iterations.

  Returns:
    The restored audio, and each frame's iterations.
  """
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
  padded = np.pad(audio, FRAME)
  total, weight, iterations = np.zeros_like(padded), np.zeros_like(padded), []
  for centre in range(-FRAME, len(audio) + FRAME, HOP):
    start = centre - FRAME // 2
    if start + FRAME <= 0 or start >= len(audio):
      continue
    inside = slice(FRAME + start, FRAME + start + FRAME)
    y = window * padded[inside]
    sign = np.sign(padded[inside]) * (np.abs(padded[inside]) >= level)
    x, updates = declip_frame(y, sign) if sign.any() else (y, 0)
    iterations.append(updates)
    total[inside] += window * x
    weight[inside] += window**2
  inside = slice(FRAME, FRAME + len(audio))
  return total[inside] / weight[inside], iterations
