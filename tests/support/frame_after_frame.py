"""A-SPADE and S-SPADE as the papers write them, one frame after the other."""

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


def spade_frame(variant, y, sign, *, redundancy=2, s=1, r=1, epsilon=0.1):
  """Declips one frame with the whole DFT, whose conjugate pairs are kept.

  Args:
    variant: "analysis" or "synthesis".
    y: the windowed frame.
    sign: of its clipped samples, else 0.
    redundancy: rows of the transform over samples, as the other numbers are
      those of the method.

  Returns:
    The frame of the smallest norm, and the iterations.
  """
  size = redundancy * len(y)
  bins = size // 2 + 1

  def analysis(x):
    return np.fft.fft(x, size, norm="ortho")

  def synthesis(c):
    return np.fft.ifft(c, norm="ortho").real[: len(y)]

  c, u, k, least, count = analysis(y), np.zeros(size), s, np.inf, 0
  best = c
  while count < -(-bins * r // s):
    magnitude = np.abs(c + u)[:bins]
    magnitude[0] /= 2
    kept = np.zeros(size, bool)
    largest = np.argsort(magnitude)[-k:]
    kept[largest] = kept[-largest] = True
    z = np.where(kept, c + u, 0.0)
    distance = np.linalg.norm(c - z)
    if distance <= least:
      best, least = c, distance
    if distance <= epsilon:
      break
    x = synthesis(z - u)
    consistent = np.where(sign > 0, np.maximum(x, y), y)
    consistent = np.where(sign < 0, np.minimum(x, y), consistent)
    if variant == "analysis":
      c = analysis(consistent)
    else:
      c = z - u + analysis(consistent - x)
    u = u + c - z
    count += 1
    if (count + 1) % r == 0:
      k += s
  return synthesis(best), count
