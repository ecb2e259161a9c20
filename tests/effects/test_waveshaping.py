"""Curves: their values, slopes, rails and folds, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects import waveshaping

EFFECTS = {
  "tanh": jax.jit(waveshaping.tanh_clip),
  "arctan": jax.jit(waveshaping.arctan_clip),
  "diode": jax.jit(waveshaping.diode_clip),
  "foldback": jax.jit(waveshaping.foldback),
}


def column(values):
  return jnp.float32(values)[None, :, None]


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("gain_db", [0.0, 20.0, 34.0])
def test_the_slope_at_zero_is_the_gain(name, gain_db):
  def first(x):
    return EFFECTS[name](x[None, None, None], gain_db)[0, 0, 0]

  slope = jax.grad(first)(jnp.float32(0))
  np.testing.assert_allclose(slope, 10 ** (gain_db / 20), rtol=1e-6)


@pytest.mark.parametrize("knee", [1.0, 2.5, 16.0, 50.0, 400.0])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_diode_of_any_knees_is_finite(knee, ratio):
  """Equal to the formula in float64; hard knees are a hard clip."""
  heights = np.geomspace(1e-6, 1e4, 50)
  driven = np.concatenate([heights, -heights])
  rail = np.repeat([1.0, 0.5], 50)
  knees = np.repeat([knee, ratio * knee], 50)
  expected = np.exp(
    -np.logaddexp(0, knees * np.log(np.abs(driven) / rail)) / knees
  )

  @jax.jit
  @jax.vmap
  @jax.value_and_grad
  def diode(u):
    return waveshaping.diode(u, (1.0, 0.5), (knee, ratio * knee))

  actual, slope = diode(jnp.float32(driven))
  np.testing.assert_allclose(actual, driven * expected, rtol=1e-5)
  assert np.isfinite(slope).all()
  assert diode(jnp.zeros(1))[0] == 0


def test_diode_stays_within_the_sum_of_its_rails():
  audio = jnp.float32(np.random.default_rng(0).standard_normal((1, 3000, 1)))
  audio = jnp.where(jnp.arange(3000)[:, None] < 1500, 1.0, audio)
  for gain_db in (10.0, 50.0, 90.0):
    output = waveshaping.diode_clip(audio, gain_db, rails=(1.0, 0.3))
    assert np.abs(output).max() <= 1.3 + 1e-5


def test_folds_of_known_values():
  driven = [0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 4.0, 5.0, 6.5, -1.25, -7.0, 101.0]
  folded = [0.5, 1.0, 0.5, 0.0, -1.0, -0.5, 0.0, 1.0, -0.5, -0.75, 1.0, 1.0]
  actual = waveshaping.foldback(column(driven), 0.0)[0, :, 0]
  np.testing.assert_allclose(actual, folded, atol=1e-6)
  quiet = column([1e-12, -3e-9])
  np.testing.assert_array_equal(waveshaping.foldback(quiet, 0.0), quiet)


@pytest.mark.parametrize("name", ["tanh", "arctan", "diode"])
@pytest.mark.parametrize("loudest", [0.5, 500.0])
def test_values_and_gradients_are_those_of_the_formula(name, loudest):
  audio, weights = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 40))
  audio = np.float32(2 * loudest * audio)

  def loss(audio, gain_db):
    output = EFFECTS[name](audio[None, :, None], gain_db)[0, :, 0]
    return jnp.sum(output * weights), output

  def by_numpy(audio, gain_db):
    u = 10 ** (gain_db / 20) * audio
    if name == "tanh":
      return np.tanh(u)
    if name == "arctan":
      return 2 / np.pi * np.arctan(np.pi / 2 * u)
    rail = np.where(u > 0, 1, 0.5)
    d = u / (1 + np.abs(u / rail) ** 2.5) ** 0.4
    blocked = 0.995 ** (np.arange(40)[:, None] - np.arange(40))
    return np.tril(blocked) @ np.diff(d, prepend=0)

  gradient = jax.grad(loss, (0, 1), has_aux=True)
  (by_audio, by_gain), output = gradient(audio, 9.0)
  np.testing.assert_allclose(output, by_numpy(audio, 9.0), atol=2e-6)
  audio, step = np.float64(audio), 1e-5
  for n in (0, 7, 39):
    ends = [by_numpy(audio + s * step * np.eye(40)[n], 9.0) for s in (-1, 1)]
    expected = weights @ (ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(by_audio[n], expected, rtol=1e-4, atol=1e-4)
  ends = [by_numpy(audio, 9.0 + s * step) for s in (-1, 1)]
  expected = weights @ (ends[1] - ends[0]) / (2 * step)
  np.testing.assert_allclose(by_gain, expected, rtol=1e-3, atol=1e-6)
