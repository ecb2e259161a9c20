"""SI-SDR and SDR against closed forms."""

import numpy as np
import pytest

from distortion_removal.metrics import si_sdr


def orthogonal_pair(seed=0, channels=1):
  """Two orthogonal signals of unit norm, `[1, 1000, channels]`."""
  noise = np.random.default_rng(seed).standard_normal((1000 * channels, 2))
  basis, _ = np.linalg.qr(noise)
  return basis.T.reshape(2, 1, 1000, channels)


def both(estimate, target):
  return (
    si_sdr.si_sdr(estimate, target, sample_rate=16000),
    si_sdr.sdr(estimate, target, sample_rate=16000),
  )


@pytest.mark.parametrize("degrees", [1, 30, 45, 80, 150])
def test_si_sdr_is_the_squared_cotangent_of_the_angle(degrees):
  target, other = orthogonal_pair()
  angle = np.deg2rad(degrees)
  estimate = 3 * (np.cos(angle) * target + np.sin(angle) * other)
  actual = si_sdr.si_sdr(estimate, target, sample_rate=16000)
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


def test_items_of_a_batch_are_apart():
  target, noise = orthogonal_pair()
  targets = np.concatenate([target, 5 * target, noise])
  estimates = np.concatenate([target + noise, 5 * target + noise, target])
  scale_free, plain = both(estimates, targets)
  level_db = 20 * np.log10(5)
  np.testing.assert_allclose(scale_free, [0, level_db, -100], atol=1e-9)
  np.testing.assert_allclose(plain, [0, level_db, -10 * np.log10(2)], atol=1e-9)


def test_limits_and_silence():
  target, noise = orthogonal_pair()
  silence = np.zeros_like(target)
  np.testing.assert_array_equal(both(target, target), 100)
  np.testing.assert_array_equal(both(target + 1e-6 * noise, target), 100)
  np.testing.assert_array_equal(np.ravel(both(silence, target)), [-100, 0])
  np.testing.assert_array_equal(both(target, silence), np.nan)
  np.testing.assert_array_equal(both(silence, silence), np.nan)
  np.testing.assert_array_equal(both(target * np.nan, target), np.nan)


@pytest.mark.parametrize("shape", [(1, 999, 1), (1, 1000, 2), (1000, 1)])
def test_shapes_that_differ_are_named(shape):
  with pytest.raises(ValueError) as raised:
    both(np.ones(shape), np.ones((1, 1000, 1)))
  assert str(shape) in str(raised.value)
  assert "(1, 1000, 1)" in str(raised.value)


def test_one_axis_less_than_a_batch_is_refused():
  with pytest.raises(ValueError, match="batch, time, channels"):
    both(np.ones((1000, 1)), np.ones((1000, 1)))


def test_one_target_serves_all_estimates_to_the_bit():
  target, noise = orthogonal_pair()
  estimates = np.concatenate([target + noise, 2 * target, noise])
  repeated = np.repeat(target, 3, axis=0)
  np.testing.assert_array_equal(
    both(estimates, target), both(estimates, repeated)
  )


def test_float32_is_summed_in_float64():
  """10 s at 16 kHz with an error near -60 dB, against NumPy's dot product."""
  rng = np.random.default_rng(0)
  target = rng.standard_normal((1, 160_000, 1)).astype(np.float32)
  error = np.zeros_like(target)
  error[0, ::2] = np.float32(1e-3)
  estimate = target + error
  actual_error = estimate.astype(np.float64) - target
  energies = [np.vdot(x, x) for x in (target.astype(np.float64), actual_error)]
  expected = 10 * np.log10(energies[0] / energies[1])
  actual = si_sdr.sdr(estimate, target, sample_rate=16000)
  np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_infinite_samples_have_no_score():
  target, noise = orthogonal_pair()
  broken = target + noise
  broken[0, 3, 0] = np.inf
  np.testing.assert_array_equal(both(broken, target), np.nan)
  np.testing.assert_array_equal(both(target, broken), np.nan)


def test_one_sample_and_dc():
  one = np.full((1, 1, 1), 0.5)
  expected = [100, -20 * np.log10(0.75)]
  np.testing.assert_allclose(np.ravel(both(0.25 * one, one)), expected)
  dc = np.full((1, 100, 1), 0.5)
  np.testing.assert_allclose(np.ravel(both(0.9 * dc, dc)), [100, 20])
