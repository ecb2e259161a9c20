"""Losses against closed forms, float64 differences and the metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal import errors, losses
from distortion_removal.metrics import si_sdr


def signals(shape=(3, 200, 2), seed=0):
  generator = np.random.default_rng(seed)
  target = 0.2 * generator.standard_normal(shape)
  estimate = 0.7 * target + 0.05 * generator.standard_normal(shape)
  return np.float32(estimate), np.float32(target)


def in_float64(name, estimate, target):
  """The definitions without a floor, for signals far above it."""
  if name == "l1":
    return np.mean(np.abs(estimate - target))
  if name == "l2":
    return np.mean((estimate - target) ** 2)
  ratios = []
  for e, t in zip(estimate, target, strict=True):
    if name == "neg_si_sdr":
      t = np.sum(e * t) / np.sum(t**2) * t
    ratios.append(10 * np.log10(np.sum((e - t) ** 2) / np.sum(t**2)))
  return np.mean(ratios)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_value_and_gradient_equal_float64(name):
  estimate, target = signals()
  value, gradient = jax.value_and_grad(losses.get(name))(estimate, target)
  estimate, target = np.float64(estimate), np.float64(target)
  np.testing.assert_allclose(
    value, in_float64(name, estimate, target), rtol=1e-5
  )
  for index in [(0, 0, 0), (1, 7, 1), (2, 199, 0)]:
    step = np.zeros_like(estimate)
    step[index] = 1e-6
    above = in_float64(name, estimate + step, target)
    below = in_float64(name, estimate - step, target)
    expected = (above - below) / 2e-6
    np.testing.assert_allclose(gradient[index], expected, rtol=1e-3)


def test_values_by_hand():
  target = jnp.array([[1.0, -1.0], [0.5, 0.5]])[..., None]
  estimate = jnp.array([[0.9, -0.9], [0.5, 0.0]])[..., None]
  assert losses.l1(estimate, target) == pytest.approx((0.1 + 0.25) / 2)
  assert losses.l2(estimate, target) == pytest.approx((0.01 + 0.125) / 2)
  # SDR 20 dB and 10 log10(2) dB; the second item's angle is 45 degrees.
  expected = -(20 + 10 * np.log10(2)) / 2
  assert losses.neg_sdr(estimate, target) == pytest.approx(expected, rel=1e-5)
  second = losses.neg_si_sdr(estimate[1:], target[1:])
  assert second == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ["sdr", "si_sdr"])
def test_log_losses_are_the_metrics_negated(name):
  estimate, target = signals((4, 5000, 2), seed=1)
  metric = getattr(si_sdr, name)(estimate, target, sample_rate=16000)
  loss = losses.get(f"neg_{name}")(estimate, target)
  np.testing.assert_allclose(loss, -np.mean(metric), atol=1e-4)


def test_si_sdr_loss_ignores_scale_and_sign():
  estimate, target = signals()
  reference = losses.neg_si_sdr(estimate, target)
  for scale in (0.5, -2.0):
    actual = losses.neg_si_sdr(scale * estimate, target)
    np.testing.assert_allclose(actual, reference, atol=1e-4)


@pytest.mark.parametrize("name", ["neg_sdr", "neg_si_sdr"])
def test_log_losses_on_silence(name):
  loss = jax.value_and_grad(losses.get(name))
  silence, sound = jnp.zeros((1, 100, 1)), jnp.full((1, 100, 1), 0.1)

  value, gradient = loss(silence, silence)
  assert value == 0
  np.testing.assert_array_equal(gradient, 0)

  # Silent target: the error, -20 dB, is 80 dB over the floor, and falls by
  # 10 / ln 10 x 2 / (100 x 0.1) dB for a sample's unit.
  value, gradient = loss(sound, silence)
  np.testing.assert_allclose(value, 80, rtol=1e-5)
  np.testing.assert_allclose(gradient, 0.2 * 10 / np.log(10), rtol=1e-5)

  # A perfect estimate: the target is 80 dB over the floor; nothing to mend.
  value, gradient = loss(sound, sound)
  np.testing.assert_allclose(value, -80, rtol=1e-3)
  assert np.all(np.isfinite(gradient))


def test_silent_estimate_of_a_sound():
  silence, sound = jnp.zeros((1, 100, 1)), jnp.full((1, 100, 1), 0.1)
  value, gradient = jax.value_and_grad(losses.neg_sdr)(silence, sound)
  assert value == 0
  # Towards the target: -10 / ln 10 x 2 / (100 x 0.1) dB a unit.
  np.testing.assert_allclose(gradient, -0.2 * 10 / np.log(10), rtol=1e-5)
  value, gradient = jax.value_and_grad(losses.neg_si_sdr)(silence, sound)
  assert value == 0
  np.testing.assert_array_equal(gradient, 0)  # every direction is as good


@pytest.mark.parametrize("name", losses.LOSSES)
def test_bfloat16_is_computed_in_float32(name):
  estimate, target = (jnp.bfloat16(signal) for signal in signals())
  value = losses.get(name)(estimate, target)
  assert value.dtype == jnp.float32
  same = [np.asarray(signal, np.float64) for signal in (estimate, target)]
  np.testing.assert_allclose(value, in_float64(name, *same), rtol=1e-5)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_shapes_that_would_broadcast_are_refused(name):
  with pytest.raises(ValueError, match=r"\(2, 5, 1\).*\(2, 5, 2\)"):
    losses.get(name)(jnp.ones((2, 5, 1)), jnp.ones((2, 5, 2)))


def test_unknown_name_lists_the_known():
  with pytest.raises(errors.UserError, match=r"'l3'.*l1, l2, neg_sdr"):
    losses.get("l3")
