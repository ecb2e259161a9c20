"""PEAQ's measures of every frame of two signals.

Spectra are `[frames, bins]`, patterns `[bands, frames]`; target and estimate
are the standard's reference and test signal.
"""

import numpy as np
from scipy import fft

from distortion_removal.metrics.peaq import ear_model
from distortion_removal.metrics.peaq.patterns import Patterns

_FLOOR_BINS = slice(921, 1024)  # above 21.6 kHz
_LOWEST_BANDWIDTH_BIN = 347  # 8.1 kHz

_LAGS = 256  # of the error's autocorrelation over frequency
_CORRELATED = 2 * _LAGS - 1  # bins
_LEAST_FRAME_ENERGY = 8000.0
_LAG_WINDOW = np.sqrt(8.0 / 3.0) / _LAGS * np.hanning(_LAGS)

_THRESHOLD = ear_model.internal_noise(ear_model.CENTRES_HZ)[:, None]
# 3 dB up to 12 Bark, from there 0.25 dB per Bark.
_BAND_BARK = np.arange(ear_model.BANDS)[:, None] / 4
_MASK_OFFSET_DB = np.where(_BAND_BARK <= 12.0, 3.0, 0.25 * _BAND_BARK)


def bandwidth(target: np.ndarray, estimate: np.ndarray) -> np.ndarray:
  """Finds the highest bins above the estimate's noise floor, plus one.

  The floor is the estimate's largest bin above 21.6 kHz. The target's
  bandwidth is where it is 10 dB above the floor, searched above 8.1 kHz; the
  estimate's, no higher, where it is 5 dB above it.

  Returns:
    `[2, frames]` from two power spectra; -1 where there is none.
  """
  floor = estimate[:, _FLOOR_BINS].max(axis=1, keepdims=True)
  bins = np.arange(1, _FLOOR_BINS.start + 1)
  above = target[:, : _FLOOR_BINS.start] >= 10.0 * floor
  above[:, :_LOWEST_BANDWIDTH_BIN] = False
  of_target = np.max(bins * above, axis=1)
  above = estimate[:, : _FLOOR_BINS.start] >= np.sqrt(10.0) * floor
  of_estimate = np.max(bins * (above & (bins <= of_target[:, None])), axis=1)
  found = np.stack([of_target, of_estimate])
  return np.where(found > 0, found, -1)


def audible(frames: np.ndarray) -> np.ndarray:
  """Finds the frames, of `[frames, 2048]`, with energy in the second half."""
  half = frames[:, ear_model.HOP :]
  return np.einsum("ft,ft->f", half, half) >= _LEAST_FRAME_ENERGY


def error_harmonics(target: np.ndarray, estimate: np.ndarray) -> np.ndarray:
  """Finds the peak of the cepstrum of the error: its harmonic structure.

  The autocorrelation of log(estimate / target) over 256 lags, normalised by
  the energies of the two stretches, less its mean, through a Hann window; the
  largest value of its power spectrum, if that is above the one at 0.

  Returns:
    `[frames]` from two power spectra; 0 where a bin of either side is exactly 0
    (digital silence), as the comparisons of PQevalAudio make of the infinity.
  """
  ratio = np.log(estimate[:, :_CORRELATED] / target[:, :_CORRELATED])
  ratio[~np.isfinite(ratio).all(axis=1)] = 0.0
  size = 2 * _LAGS
  spectrum = np.conj(fft.rfft(ratio[:, :_LAGS], size)) * fft.rfft(ratio, size)
  correlation = fft.irfft(spectrum, size)[:, :_LAGS]
  squares = np.square(ratio)
  gained = squares[:, _LAGS:] - squares[:, : _LAGS - 1]
  first = correlation[:, :1]
  energy = np.concatenate([first, gained], axis=1).cumsum(axis=1)
  product = first * energy
  normalised = np.where(product > 0.0, correlation / np.sqrt(product), 1.0)
  normalised[:, 0] = 1.0
  normalised -= normalised.mean(axis=1, keepdims=True)
  cepstrum = np.abs(fft.rfft(normalised * _LAG_WINDOW)) ** 2
  peak = cepstrum[:, 1:].max(axis=1)
  return np.where(peak > cepstrum[:, 0], peak, 0.0)


def noise_to_mask(noise: np.ndarray, target: Patterns) -> np.ndarray:
  """Relates the error's band energies `[bands, frames]` to the mask."""
  return noise / (target.excitation * 10.0 ** (-_MASK_OFFSET_DB / 10.0))


def modulation_difference(
  target: np.ndarray, estimate: np.ndarray
) -> np.ndarray:
  """Computes two differences of modulation patterns in percent.

  Returns:
    `[2, frames]`. The first is relative to 1 + target; the second to 0.01 +
    target, and a tenth as large where the estimate has less modulation.
  """
  difference = np.abs(estimate - target)
  second = np.where(target > estimate, 0.1, 1.0) * difference / (0.01 + target)
  first = difference / (1.0 + target)
  return 100.0 * np.stack([first.mean(axis=0), second.mean(axis=0)])


def modulation_weight(envelope: np.ndarray) -> np.ndarray:
  """Weighs the frames for averages of those differences: `[frames]`."""
  return (envelope / (envelope + 100.0 * _THRESHOLD**0.3)).sum(axis=0)


def noise_loudness(
  target: np.ndarray,
  estimate: np.ndarray,
  target_modulation: np.ndarray,
  estimate_modulation: np.ndarray,
) -> np.ndarray:
  """Computes the partial loudness of what the estimate adds: `[frames]`.

  From adapted excitations and modulation patterns, `[bands, frames]` each.
  """
  target_threshold = 0.15 * target_modulation + 0.5
  threshold = 0.15 * estimate_modulation + 0.5
  masking = target_threshold * target
  added = np.maximum(threshold * estimate - masking, 0.0)
  masking *= np.exp(-1.5 * (estimate - target) / target)
  ratio = added / (_THRESHOLD + masking)
  scale = (_THRESHOLD / threshold) ** 0.23
  loudness = scale * ((1.0 + ratio) ** 0.23 - 1.0)
  return np.maximum(24.0 * loudness.mean(axis=0), 0.0)


def detection(target: np.ndarray, estimate: np.ndarray) -> np.ndarray:
  """Estimates how easily the difference of two excitations is heard.

  Returns:
    `[2, bands, frames]`: the exponent x of the probability 1 - 2^-x of
    detection, and the whole decibels in just noticeable steps.
  """
  target_db, estimate_db = 10.0 * np.log10(target), 10.0 * np.log10(estimate)
  difference_db = target_db - estimate_db
  softer = difference_db > 0.0
  level_db = estimate_db + np.where(softer, 0.3 * difference_db, 0.0)
  polynomial = np.polynomial.polynomial.polyval(
    level_db, (-0.198719, 0.0550197, -0.00102438, 5.05622e-6, 9.01033e-11)
  )
  step_db = 5.95072 * (6.39468 / level_db) ** 1.71332 + polynomial
  step_db = np.where(level_db > 0.0, step_db, 1e30)
  exponent = (difference_db / step_db) ** 2
  exponent = exponent**2 * np.where(softer, 1.0, exponent)
  return np.stack([exponent, np.abs(np.trunc(difference_db)) / step_db])
