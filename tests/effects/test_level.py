"""Peaks, scaling to a peak, and silence."""

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import level

AUDIO = jnp.array(
  [[[0.1, -0.2], [0.05, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[1e-5, 0], [0, 0]]]
)


def test_peak_is_over_time_and_channels():
  np.testing.assert_allclose(level.peak(AUDIO), [0.2, 0, 1e-5])


def test_only_audio_without_any_sample_is_silent():
  np.testing.assert_array_equal(level.is_silent(AUDIO), [False, True, False])


def test_peak_normalise_keeps_the_balance_of_channels_and_silence():
  expected = [
    [[0.25, -0.5], [0.125, 0.0]],
    [[0, 0], [0, 0]],
    [[0.5, 0], [0, 0]],
  ]
  actual = level.peak_normalise(AUDIO, 0.5)
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_peak_normalise_takes_a_peak_per_item_and_any_transformation():
  peaks = jnp.array([0.5, 0.25, 1.0])
  eager = level.peak_normalise(AUDIO, peaks)
  np.testing.assert_allclose(level.peak(eager), [0.5, 0, 1.0], rtol=1e-6)
  jitted = jax.jit(level.peak_normalise)(AUDIO, peaks)
  np.testing.assert_allclose(eager, jitted, rtol=1e-6)
  vmapped = jax.vmap(level.peak_normalise)(AUDIO, peaks)
  np.testing.assert_allclose(eager, vmapped, rtol=1e-6)


def test_peak_normalise_gradient():
  # y = 0.5 x / max|x|: the sample beside the peak p has slope 0.5 / p and
  # moves with the peak by -0.5 x / p^2; the peak itself does not move.
  def second(audio):
    return level.peak_normalise(audio[None], 0.5)[0, 1, 0]

  gradient = jax.grad(second)(jnp.array([[0.4], [0.1]]))
  np.testing.assert_allclose(gradient[:, 0], [-0.3125, 1.25], rtol=1e-6)
  silent = jax.grad(second)(jnp.zeros((2, 1)))
  np.testing.assert_array_equal(silent[:, 0], [0, 1])
