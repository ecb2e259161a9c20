"""Curves: their rails, slopes, harmonics and folds, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects import waveshaping

EFFECTS = {
  name: jax.jit(effect, static_argnames="oversample")
  for name, effect in {
    "tanh": waveshaping.tanh_clip,
    "arctan": waveshaping.arctan_clip,
    "diode": waveshaping.diode_clip,
    "foldback": waveshaping.foldback,
  }.items()
}


def column(values):
  return jnp.float32(values)[None, :, None]


def sine(amplitude, cycles=8, time=1024):
  phase = 2 * np.pi * cycles * np.arange(time) / time
  return column(amplitude * np.sin(phase))


def harmonics(effect, audio, gain_db, cycles=8):
  """Complex amplitudes of harmonic 0, 1, 2 ... of the output's sine part."""
  output = np.float64(effect(audio, gain_db)[0, :, 0])
  return 2j * np.fft.rfft(output)[::cycles] / len(output)


@pytest.mark.parametrize("name", ["tanh", "arctan", "foldback"])
def test_curves_are_odd(name):
  audio = column(np.linspace(0, 3, 50))
  effect = EFFECTS[name]
  np.testing.assert_array_equal(effect(audio, 15.0), -effect(-audio, 15.0))


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("gain_db", [0.0, 20.0, 34.0])
def test_the_slope_at_zero_is_the_gain(name, gain_db):
  def first(x):
    return EFFECTS[name](x[None, None, None], gain_db)[0, 0, 0]

  slope = jax.grad(first)(jnp.float32(0))
  np.testing.assert_allclose(slope, 10 ** (gain_db / 20), rtol=1e-6)


def test_values_of_tanh_and_arctan():
  audio = column([0.02, 0.1, -0.1, 0.5, 10.0])
  actual = waveshaping.tanh_clip(audio, 20.0)[0, :, 0]
  expected = [0.1973753, 0.7615942, -0.7615942, 0.9999092, 1]
  np.testing.assert_allclose(actual, expected, rtol=1e-6)
  # arctan(1) = pi / 4, arctan(sqrt(3)) = pi / 3; 1 - 4 / (pi^2 u) far out.
  audio = column([2 / np.pi, -2 / np.pi * 3**0.5, 1000.0])
  actual = waveshaping.arctan_clip(audio, 0.0)[0, :, 0]
  expected = [1 / 2, -2 / 3, 1 - 4 / np.pi**2 / 1000]
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("amplitude", [0.02, 0.05])
def test_harmonics_of_a_quiet_sine(amplitude):
  # Of tanh u = u - u^3 / 3 and arctan: u - (pi / 2)^2 u^3 / 3, with
  # sin^3 = (3 sin - sin of thrice) / 4.
  for name, cubic in (("tanh", 1 / 3), ("arctan", np.pi**2 / 12)):
    found = harmonics(EFFECTS[name], sine(amplitude / 10), 20.0)
    expected = cubic * amplitude**3 / 4
    np.testing.assert_allclose(found[3].real, expected, rtol=0.02)
    first = amplitude - 3 * cubic * amplitude**3 / 4
    np.testing.assert_allclose(found[1].real, first, rtol=1e-5)
    assert np.all(np.abs(found[[0, 2, 4]]) < 1e-8)


def test_diode_halves_approach_their_rails():
  curve = waveshaping.diode
  driven = jnp.float32([1e4, -1e4, 1.0, -1.0, 0.5, -0.5])
  rails = (jnp.float32(1.0), jnp.float32(0.5))
  # At the rail u / r = 1, the height is r 2^(-1 / n).
  expected = [1, -0.5, 2**-0.4, -1 / (1 + 2**2.5) ** 0.4]
  expected += [0.5 / (1 + 0.5**2.5) ** 0.4, -0.5 * 2**-0.4]
  np.testing.assert_allclose(curve(driven, rails), expected, rtol=1e-6)
  expected[2], expected[5] = 2**-0.25, -0.5 * 2 ** (-1 / 8)
  actual = np.take(curve(driven, rails, (4.0, 8.0)), [2, 5])
  np.testing.assert_allclose(actual, np.take(expected, [2, 5]), rtol=1e-6)


@pytest.mark.parametrize("knee", [1.0, 2.5, 16.0, 50.0, 400.0])
def test_diode_of_any_knee_is_finite(knee):
  """Equal to the formula in float64; hard knees are a hard clip."""
  driven = np.concatenate([np.geomspace(1e-6, 1e3, 50), [0.0]])
  rails = (jnp.float32(1.0), jnp.float32(0.5))
  with np.errstate(over="ignore"):
    expected = np.exp(-np.logaddexp(0, knee * np.log(driven[:-1])) / knee)
  expected = np.append(driven[:-1] * expected, 0.0)

  @jax.jit
  @jax.vmap
  @jax.value_and_grad
  def diode(u):
    return waveshaping.diode(u, rails, (knee, knee))

  actual, slope = diode(jnp.float32(driven))
  np.testing.assert_allclose(actual, expected, rtol=1e-5)
  assert np.isfinite(slope).all()


def test_diode_makes_even_harmonics_only_of_unlike_rails_and_no_mean():
  # Long enough for the blocker to have forgotten its start.
  audio = sine(0.5, cycles=128, time=16384)

  def last(**options):
    def effect(audio, gain_db):
      return waveshaping.diode_clip(audio, gain_db, **options)[:, -4096:]

    return np.abs(harmonics(effect, audio, 20.0, cycles=32))

  uneven, even = last(), last(rails=(0.7, 0.7))
  assert uneven[2] > 0.05 * uneven[1]
  assert even[2] < 1e-5 * even[1]
  assert uneven[0] < 1e-4 * uneven[1]


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
def test_gradient_equals_finite_differences(name):
  generator = np.random.default_rng(0)
  audio, weights = generator.uniform(-0.5, 0.5, (2, 40))

  def loss(audio, gain_db):
    output = EFFECTS[name](audio[None, :, None], gain_db)[0, :, 0]
    return jnp.sum(output * weights)

  def by_numpy(audio, gain_db):
    u = 10 ** (gain_db / 20) * audio
    if name == "tanh":
      return weights @ np.tanh(u)
    if name == "arctan":
      return weights @ (2 / np.pi * np.arctan(np.pi / 2 * u))
    rail = np.where(u > 0, 1, 0.5)
    d = u / (1 + np.abs(u / rail) ** 2.5) ** 0.4
    blocked = 0.995 ** (np.arange(40)[:, None] - np.arange(40))
    blocked = np.tril(blocked) @ np.diff(d, prepend=0)
    return weights @ blocked

  by_audio, by_gain = jax.grad(loss, (0, 1))(jnp.float32(audio), 9.0)
  step = 1e-5
  for n in (0, 7, 39):
    ends = [by_numpy(audio + s * step * np.eye(40)[n], 9.0) for s in (-1, 1)]
    expected = (ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(by_audio[n], expected, rtol=1e-4, atol=1e-4)
  ends = [by_numpy(audio, 9.0 + s * step) for s in (-1, 1)]
  expected = (ends[1] - ends[0]) / (2 * step)
  np.testing.assert_allclose(by_gain, expected, rtol=1e-3)
