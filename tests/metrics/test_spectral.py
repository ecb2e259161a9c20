"""Spectral distances against closed forms, SciPy and the training loss."""

import jax
import numpy as np
import pytest
import scipy.signal

from distortion_removal.metrics import spectral
from distortion_removal.training import losses

RATE = 16_000


def _noise(seed, shape=(2, 9000, 2)):
  noise = np.random.default_rng(seed).standard_normal(shape)
  return (0.1 * noise).astype(np.float32)


@pytest.mark.e2e
def test_multi_resolution_is_the_loss_of_each_item():
  target = _noise(0)
  estimate = target + 0.3 * _noise(1)
  actual = spectral.multi_resolution_stft(estimate, target, sample_rate=RATE)
  loss = jax.jit(losses.multi_resolution_stft)
  pairs = zip(estimate, target, strict=True)
  expected = [loss(e[None], t[None]) for e, t in pairs]
  np.testing.assert_allclose(actual, expected, rtol=2e-6)


@pytest.mark.parametrize("gain", [1.0, 2.0, 0.5, -2.0])
def test_a_gain_in_closed_form(gain):
  """||1 - g|| and |log g|; the sign is not heard."""
  target = _noise(2)
  size = abs(gain)
  actual = spectral.multi_resolution_stft(
    gain * target, target, sample_rate=RATE
  )
  np.testing.assert_allclose(actual, abs(1 - size) + abs(np.log(size)), 1e-5)
  actual = spectral.log_spectral_distance(
    gain * target, target, sample_rate=RATE
  )
  np.testing.assert_allclose(actual, 20 * abs(np.log10(size)), 1e-5)


def test_log_spectral_distance_is_that_of_scipy_spectra():
  def level_db(audio):
    padded = np.pad(audio, ((0, 0), (1024, 1024), (0, 0)), "reflect")
    options = {"boundary": None, "padded": False, "axis": 1}
    _, _, spectrum = scipy.signal.stft(
      np.float64(padded), nperseg=2048, noverlap=2048 - 512, **options
    )
    return 20 * np.log10(np.abs(spectrum))  # [batch, bins, channels, frames]

  target, estimate = _noise(3), _noise(4)
  squares = (level_db(estimate) - level_db(target)) ** 2
  expected = np.sqrt(squares.mean(axis=1)).mean(axis=(1, 2))
  actual = spectral.log_spectral_distance(estimate, target, sample_rate=RATE)
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_a_quiet_bin_counts_from_the_floor():
  """Silence against DC: the bins of DC alone are above the floor."""
  target = np.ones((1, 8192, 1), np.float32)
  magnitudes = np.zeros(1025)
  magnitudes[:2] = 1024, 512  # a Hann window has two bins a side
  level_db = 20 * np.log10(np.maximum(magnitudes, 1e-4) / 1e-4)
  expected = np.sqrt(np.mean(level_db**2))
  actual = spectral.log_spectral_distance(
    np.zeros_like(target), target, sample_rate=RATE
  )
  np.testing.assert_allclose(actual, expected, rtol=1e-2)
