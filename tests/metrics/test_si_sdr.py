"""SI-SDR and SDR against closed forms."""

import numpy as np
import pytest

from distortion_removal import errors, metrics
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
  np.testing.assert_allclose(actual, -20 * np.log10(abs(np.tan(angle))))


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


def test_registry():
  for name in ("si_sdr", "sdr"):
    metric = metrics.get(name)
    assert (metric.unit, metric.direction) == ("dB", "higher")
    assert (metric.low, metric.high) == (-100, 100)
    assert metric.function is getattr(si_sdr, name)
  with pytest.raises(errors.UserError, match=r"'snr'.*sdr, si_sdr"):
    metrics.get("snr")
