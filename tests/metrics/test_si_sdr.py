"""SI-SDR, SDR and ESR against closed forms."""

import numpy as np
import pytest

from distortion_removal.metrics import si_sdr

RATE = 16_000


def orthogonal_pair(seed=0, channels=1):
  """Two orthogonal signals of unit norm, `[1, 1000, channels]`."""
  noise = np.random.default_rng(seed).standard_normal((1000 * channels, 2))
  basis, _ = np.linalg.qr(noise)
  return basis.T.reshape(2, 1, 1000, channels)


def both(estimate, target):
  return (
    si_sdr.si_sdr(estimate, target, sample_rate=RATE),
    si_sdr.sdr(estimate, target, sample_rate=RATE),
  )


@pytest.mark.parametrize("degrees", [1, 30, 45, 80, 150])
def test_si_sdr_is_the_squared_cotangent_of_the_angle(degrees):
  target, other = orthogonal_pair()
  angle = np.deg2rad(degrees)
  estimate = 3 * (np.cos(angle) * target + np.sin(angle) * other)
  actual = si_sdr.si_sdr(estimate, target, sample_rate=RATE)
  expected = -20 * np.log10(abs(np.tan(angle)))
  np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("noise_db", [-80, -40, 0, 20])
@pytest.mark.parametrize("channels", [1, 2])
def test_both_are_the_level_of_orthogonal_noise(noise_db, channels):
  target, noise = orthogonal_pair(channels=channels)
  estimate = target + 10 ** (noise_db / 20) * noise
  np.testing.assert_allclose(both(estimate, target), -noise_db, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 0.5, 2, -1])
def test_scale_counts_for_sdr_alone(scale):
  target, noise = orthogonal_pair()
  actual = both(scale * (target + 0.1 * noise), target)
  np.testing.assert_allclose(actual[0], 20)
  energy = (1 - scale) ** 2 + (0.1 * scale) ** 2
  np.testing.assert_allclose(actual[1], -10 * np.log10(energy))


def test_channels_share_one_scale():
  # e = (t, 2 t), both channels equal: a = 3/2, error (1/2)^2 + (1/2)^2.
  channel = np.random.default_rng(0).standard_normal((1, 500, 1))
  target = np.concatenate([channel, channel], axis=2)
  estimate = np.concatenate([channel, 2 * channel], axis=2)
  expected = [10 * np.log10(4.5 / 0.5), 10 * np.log10(2 / 1)]
  np.testing.assert_allclose(np.ravel(both(estimate, target)), expected)


def test_an_offset_is_distortion():
  target = np.tile([1.0, -1.0], 50)[None, :, None]
  np.testing.assert_allclose(both(target + 0.1, target), 20)


def test_limits_and_silence():
  target, noise = orthogonal_pair()
  silence = np.zeros_like(target)
  np.testing.assert_array_equal(both(target, target), 100)
  np.testing.assert_array_equal(both(target + 1e-6 * noise, target), 100)
  np.testing.assert_array_equal(np.ravel(both(silence, target)), [-100, 0])
  np.testing.assert_array_equal(both(target, silence), np.nan)
  np.testing.assert_array_equal(both(silence, silence), np.nan)


def test_float32_is_summed_in_float64():
  """10 s at 16 kHz with an error of -60 dB."""
  shape = (1, 160_000, 1)
  target = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
  estimate = target + np.float32(1e-3)
  expected = both(np.float64(estimate), np.float64(target))
  np.testing.assert_allclose(both(estimate, target), expected, rtol=1e-12)


def test_esr_is_sdr_without_the_logarithm():
  target, noise = orthogonal_pair(channels=2)
  estimates = [target + 0.3 * noise, 0.9 * target, noise, 0 * noise, -target]
  estimates = np.concatenate(estimates)
  actual = si_sdr.esr(estimates, target, sample_rate=RATE)
  ratio_db = si_sdr.sdr(estimates, target, sample_rate=RATE)
  np.testing.assert_allclose(actual, 10 ** (-ratio_db / 10))
  np.testing.assert_allclose(actual, [0.09, 0.01, 2.0, 1.0, 4.0])
  assert si_sdr.esr(target, target, sample_rate=RATE) == 0.0
