"""SoX's overdrive undone by plain loops, in Python, Numba and NumPy.

Written apart from ours, from the formula of the overdrive: what is known of the
DC blocker is subtracted, and a cubic equation solved, one sample after the
other. Audio is `[time]` float64; settings are the gain as a factor, the scale,
the shift and the offset.
"""

import importlib.util
import math
from collections.abc import Callable

import numpy as np

Settings = tuple[float, float, float, float]


def one(audio: np.ndarray, settings: Settings) -> np.ndarray:
  """Undoes one set of settings by a loop over samples; `[time]`."""
  gain, scale, shift, offset = settings
  signal = np.empty(len(audio))
  distorted = blocked = 0.0
  # With the curve's slope at most 1, 0.5 u / gain + 0.75 (u - u^3 / 3).
  steepest = 0.5 / gain + 0.75
  peak = 2.0 * math.sqrt(steepest / 0.75)
  upper = 0.5 * (1.0 - shift) / gain + 0.5
  lower = 0.5 * (-1.0 - shift) / gain - 0.5
  for n in range(len(audio)):
    past = 0.995 * blocked - distorted
    rest = (audio[n] - offset) / scale - 0.75 * past
    if rest >= upper:
      clean, distorted = 2.0 * (rest - 0.5), 2.0 / 3.0
    elif rest <= lower:
      clean, distorted = 2.0 * (rest + 0.5), -2.0 / 3.0
    else:
      # The middle one of three real roots, by their trigonometric form.
      value = (rest + 0.5 * shift / gain) * 3.0 / (steepest * peak)
      angle = math.asin(min(1.0, max(-1.0, value)))
      driven = peak * math.sin(angle / 3.0)
      clean, distorted = (driven - shift) / gain, driven - driven**3 / 3.0
    blocked = distorted + past
    signal[n] = clean
  return signal


def many(audio: np.ndarray, settings: np.ndarray) -> np.ndarray:
  """Undoes settings `[4, candidates]` side by side; `[time, candidates]`."""
  gain, scale, shift, offset = settings
  signal = np.empty((len(audio), len(gain)))
  distorted = blocked = np.zeros(len(gain))
  steepest = 0.5 / gain + 0.75
  peak = 2.0 * np.sqrt(steepest / 0.75)
  upper = 0.5 * (1.0 - shift) / gain + 0.5
  lower = 0.5 * (-1.0 - shift) / gain - 0.5
  level, factor = 0.5 * shift / gain, 3.0 / (steepest * peak)
  for n, sample in enumerate(audio):
    past = 0.995 * blocked - distorted
    rest = (sample - offset) / scale - 0.75 * past
    value = np.clip((rest + level) * factor, -1.0, 1.0)
    driven = peak * np.sin(np.arcsin(value) / 3.0)
    side = 1.0 * (rest >= upper) - (rest <= lower)
    distorted = np.where(side, side * (2.0 / 3.0), driven - driven**3 / 3.0)
    signal[n] = np.where(side, 2.0 * rest - side, (driven - shift) / gain)
    blocked = distorted + past
  return signal


def compiled() -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
  """Returns `many` as Numba makes it of `one`; None where there is no Numba."""
  if importlib.util.find_spec("numba") is None:
    return None
  import numba

  loop = numba.njit(one)

  def function(audio: np.ndarray, settings: np.ndarray) -> np.ndarray:
    rows = [loop(audio, tuple(map(float, row))) for row in settings.T]
    return np.stack(rows, axis=1)

  return function
