"""Recordings that SoX's overdrive was applied to, by NumPy and SciPy alone."""

import numpy as np
import scipy.signal
from conftest import pluck

from distortion_removal.datasets.sources.plucked_strings.synthesis import (
  render,
)

STEP = 2.0**-15


def strings(seconds, index=0, rate=16_000):
  """A clean guitar or bass, `[time]` float64."""
  audio = render(index, seed=17, sample_rate=rate, seconds=seconds)
  return audio[:, 0].astype(np.float64)


def notes(rate=16_000):
  """Three plucked notes with a peak of 0.5, `[time, 1]` float32."""
  played = [pluck(1.5, pitch_hz, rate) for pitch_hz in (110.0, 146.8, 196.0)]
  clean = np.concatenate(played).astype(np.float32)
  return clean * np.float32(0.5 / np.abs(clean).max())


def overdriven(clean, gain_db, colour=20.0, scale=1.0):
  """The formula of SoX, at another level, before it is rounded."""
  driven = np.clip(10 ** (gain_db / 20) * clean + colour / 200, -1, 1)
  driven -= driven**3 / 3
  wet = scipy.signal.lfilter([1, -1], [1, -0.995], driven, axis=0)
  return scale * (0.5 * clean + 0.75 * wet)


def rounded(audio):
  """The nearest levels of 16 bits."""
  return np.rint(audio / STEP) * STEP


def truncated(audio):
  """The levels of 16 bits below, as files get by a cast without rounding."""
  return np.floor(audio / STEP) * STEP


def si_sdr_db(estimate, target):
  """Scale-invariant, as in Le Roux et al. 2019."""
  target = (target @ estimate) / (target @ target) * target
  return 10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))
