"""Inverses against the formulas, against SoX, and slopes by differences."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from test_overdrive import by_loop, by_sox, plucks

from distortion_removal.effects import invertible, waveshaping
from distortion_removal.effects.invertible import Invertible, Parameters

CURVES = {
  "cubic": (invertible.CUBIC, lambda u: _cubic(np.clip(u, -1, 1))),
  "tanh": (invertible.TANH, np.tanh),
  "arctan": (invertible.ARCTAN, lambda u: np.arctan(np.pi / 2 * u) * 2 / np.pi),
  "diode": (invertible.DIODE, lambda u: _diode(u, np.where(u > 0, 1, 0.5))),
}


def _cubic(u):
  return u - u**3 / 3


def _diode(u, rail):
  return u / (1 + np.abs(u / rail) ** 2.5) ** (1 / 2.5)


def noise(time=3000):
  return 0.2 * np.random.default_rng(0).standard_normal(time)


def forward(curve, dry, blocks_dc, signal, parameters):
  """The module's formula in NumPy and SciPy, float64."""
  gain, scale, shift, offset = parameters
  wet = curve(gain * signal + shift)
  if blocks_dc:
    wet = scipy.signal.lfilter([1, -1], [1, -0.995], wet)
  return scale * (dry * signal + wet) + offset


def invert(effect, audio, parameters, state=0.0):
  with jax.enable_x64(True):
    signal, state = jax.jit(
      lambda audio, state: invertible.invert(effect, audio, parameters, state)
    )(jnp.asarray(audio), state)
    return np.asarray(signal), np.asarray(state)


@pytest.mark.parametrize("blocks_dc", [False, True])
@pytest.mark.parametrize("gain_db", [0, 20, 60])
@pytest.mark.parametrize("name", CURVES)
def test_finds_the_signal_to_rounding(name, gain_db, blocks_dc):
  curve, formula = CURVES[name]
  parameters = Parameters(10 ** (gain_db / 20), 0.7, 0.1, 1e-3)
  audio = forward(formula, 1.0, blocks_dc, noise(), parameters)
  effect = Invertible(curve, 1.0, 1.0, blocks_dc)
  signal, _ = invert(effect, audio, parameters)
  np.testing.assert_allclose(signal, noise(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "arctan", "diode"])
def test_without_dry_signal(name):
  curve, formula = CURVES[name]
  parameters = Parameters(4.0, 0.7, 0.1, 1e-3)
  audio = forward(formula, 0.0, False, noise(), parameters)
  signal, _ = invert(Invertible(curve, 0.0, 1.0), audio, parameters)
  np.testing.assert_allclose(signal, noise(), rtol=0, atol=1e-12)


def test_without_dry_signal_what_is_held_is_at_the_knee():
  effect = Invertible(invertible.CUBIC, 0.0, 1.0)
  signal, _ = invert(effect, np.array([0.9, -0.7, 0.0]), Parameters(2.0))
  np.testing.assert_allclose(signal, [0.5, -0.5, 0.0], atol=1e-15)


@pytest.mark.parametrize("gain_db", [0, 20, 40])
@pytest.mark.parametrize("name", CURVES)
def test_slope_equals_differences(name, gain_db):
  curve, formula = CURVES[name]
  parameters = Parameters(10 ** (gain_db / 20), 0.7, 0.1, 0.0)
  signal, step = noise(), 1e-6 / parameters.gain
  ends = [
    forward(formula, 0.5, False, signal + sign * step, parameters)
    for sign in (-1, 1)
  ]
  with jax.enable_x64(True):
    actual = invertible.slope(
      Invertible(curve, 0.5, 1.0), jnp.asarray(signal), parameters
    )
  expected = (ends[1] - ends[0]) / (2 * step)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_curves_are_those_of_the_effects():
  signal = np.float32(noise())[None, :, None]
  for name, effect in (
    ("tanh", waveshaping.tanh_clip),
    ("arctan", waveshaping.arctan_clip),
  ):
    formula = CURVES[name][1](10 * signal)
    np.testing.assert_allclose(effect(signal, 20.0), formula, atol=1e-6)
  blocked = forward(CURVES["diode"][1], 0, True, signal[0, :, 0], (10, 1, 0, 0))
  actual = waveshaping.diode_clip(signal, 20.0)[0, :, 0]
  np.testing.assert_allclose(actual, blocked, atol=1e-5)


@pytest.mark.parametrize(("gain_db", "colour"), [(20, 0), (35, 20), (50, 100)])
def test_overdrive_is_undone_to_rounding(gain_db, colour):
  clean = plucks(4000)[:, 0]
  audio = by_loop(clean, gain_db, colour)
  parameters = Parameters(10 ** (gain_db / 20), shift=colour / 200)
  signal, _ = invert(invertible.OVERDRIVE, audio, parameters)
  np.testing.assert_allclose(signal, np.float64(clean), rtol=0, atol=1e-13)


@pytest.mark.skipif(not shutil.which("sox"), reason="needs the program sox")
@pytest.mark.parametrize(("gain_db", "colour"), [(20, 0), (35, 20), (50, 0)])
def test_undoes_the_sox_program(gain_db, colour):
  """To the resolution of SoX's float32 output, which the dry half passes on."""
  clean = 0.5 * plucks(20000)
  audio = np.float64(by_sox(clean, gain_db, colour))
  parameters = Parameters(10 ** (gain_db / 20), shift=colour / 200)
  signal, _ = invert(invertible.OVERDRIVE, audio, parameters)
  error = np.linalg.norm(signal - clean) / np.linalg.norm(clean)
  assert 20 * np.log10(error) < -110


def test_the_state_joins_blocks_to_the_bit():
  parameters = Parameters(30.0, 0.4, 0.1, 0.0)
  audio = np.stack([noise(), 0.1 * noise()[::-1]], axis=1)
  whole, _ = invert(invertible.OVERDRIVE, audio, parameters)
  first, state = invert(invertible.OVERDRIVE, audio[:1000], parameters)
  second, _ = invert(invertible.OVERDRIVE, audio[1000:], parameters, state)
  np.testing.assert_array_equal(np.concatenate([first, second]), whole)


def test_candidates_go_as_one_batch():
  gains = np.array([10.0, 100.0])
  together, _ = invert(
    invertible.OVERDRIVE, noise(500)[:, None], Parameters(gains)
  )
  for index, gain in enumerate(gains):
    alone, _ = invert(invertible.OVERDRIVE, noise(500), Parameters(gain))
    np.testing.assert_allclose(together[:, index], alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "arctan", "diode"])
def test_candidates_without_dry_signal(name):
  """Gains may be arrays: also what lies beyond the rails is then finite."""
  effect = Invertible(CURVES[name][0], 0.0, 1.0)
  audio, gains = np.linspace(-1.2, 1.2, 25), np.array([2.0, 20.0])
  together, _ = invert(effect, audio[:, None], Parameters(jnp.asarray(gains)))
  for index, gain in enumerate(gains):
    alone, _ = invert(effect, audio, Parameters(gain))
    np.testing.assert_allclose(together[:, index], alone, rtol=1e-12)
