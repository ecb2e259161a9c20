"""PEAQ's patterns over time: smearing, level, modulation, adaptation.

All are `[bands, frames]`, from the excitation of `ear_model`.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from distortion_removal.metrics.peaq import ear_model

FRAMES_PER_SECOND = ear_model.RATE / ear_model.HOP


def decays(at_100_hz_s: float) -> np.ndarray:
  """Computes the part a smoothing filter keeps from frame to frame: `[bands]`.

  The time constant falls from that at 100 Hz to 8 ms at high frequencies.
  """
  time_s = 0.008 + 100.0 / ear_model.CENTRES_HZ * (at_100_hz_s - 0.008)
  return np.exp(-1.0 / (FRAMES_PER_SECOND * time_s))


_SMEARING = decays(0.030)
_SMOOTHING = decays(0.050)


def recursion(signals: np.ndarray, decay: np.ndarray) -> np.ndarray:
  """Filters `[..., bands, frames]`: y[n] = decay y[n-1] + x[n], y[-1] = 0."""
  out = np.empty_like(signals)
  for band, kept in enumerate(decay):
    out[..., band, :] = lfilter([1.0], [1.0, -kept], signals[..., band, :])
  return out


def smooth(signals: np.ndarray, decay: np.ndarray) -> np.ndarray:
  """Applies `recursion` with unit gain for constant signals."""
  return recursion(signals, decay) * (1.0 - decay)[:, None]


class Patterns(NamedTuple):
  """Patterns of one signal, `[bands, frames]`, for the later stages."""

  excitation: np.ndarray  # smeared in time
  level: np.ndarray  # the excitation, smoothed
  modulation: np.ndarray  # of the loudness envelope
  envelope: np.ndarray  # of loudness, smoothed
  loudness: np.ndarray  # in total, in sone, [frames]


def patterns(unsmeared: np.ndarray) -> Patterns:
  """Computes the patterns of one signal from its unsmeared excitation.

  Smeared in time it is the larger of that and its own smoothed past.
  """
  excitation = np.maximum(unsmeared, smooth(unsmeared, _SMEARING))
  loudness = unsmeared**0.3
  change = np.abs(np.diff(loudness, axis=1, prepend=0.0)) * FRAMES_PER_SECOND
  level, change, envelope = smooth(
    np.stack([excitation, change, loudness]), _SMOOTHING
  )
  return Patterns(
    excitation=excitation,
    level=level,
    modulation=change / (1.0 + envelope / 0.3),
    envelope=envelope,
    loudness=total_loudness(excitation),
  )


def total_loudness(excitation: np.ndarray) -> np.ndarray:
  """Computes the loudness in sone, `[frames]`, of `[bands, frames]`."""
  khz = ear_model.CENTRES_HZ[:, None] / 1000.0
  threshold = 10.0 ** (0.364 * khz**-0.8)
  bend = 2.05 * np.arctan(khz / 4.0) + 0.75 * np.arctan((khz / 1.6) ** 2)
  index = 10.0 ** (-(2.0 + bend) / 10.0)
  scale = 1.07664 * (threshold / (index * 1e4)) ** 0.23
  ratio = 1.0 - index + index * excitation / threshold
  specific = scale * (ratio**0.23 - 1.0)
  return 24.0 / ear_model.BANDS * np.maximum(specific, 0.0).sum(axis=0)


def adapt(target: Patterns, estimate: Patterns) -> np.ndarray:
  """Removes differences of level and linear filtering from two excitations.

  The louder side is brought to the level of the other; then the bands where one
  side has more are lowered in it, by the regression of the two over time,
  averaged over neighbouring bands.

  Returns:
    Target and estimate, `[2, bands, frames]`.
  """
  common = np.sqrt(target.level * estimate.level).sum(axis=0)
  ratio = (common / estimate.level.sum(axis=0)) ** 2
  masker = target.excitation / np.maximum(ratio, 1.0)
  levelled = np.stack([masker, estimate.excitation * np.minimum(ratio, 1.0)])
  own, cross = recursion(levelled * masker, _SMOOTHING)
  correction = np.minimum(np.stack([cross / own, own / cross]), 1.0)
  return levelled * smooth(_neighbourhood_mean(correction), _SMOOTHING)


def _neighbourhood_mean(signals: np.ndarray) -> np.ndarray:
  """Averages over three bands below to four above, as far as there are any."""
  total = np.zeros_like(signals)
  count = np.zeros((ear_model.BANDS, 1))
  for shift in range(-3, 5):
    here = slice(max(-shift, 0), ear_model.BANDS - max(shift, 0))
    there = slice(max(shift, 0), ear_model.BANDS - max(-shift, 0))
    total[:, here] += signals[:, there]
    count[here] += 1
  return total / count
