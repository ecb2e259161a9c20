"""The criterion against a plain one in NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.signal

from distortion_removal.effects import invertible
from distortion_removal.effects.invertible import Parameters
from distortion_removal.inversion import gauss_newton
from distortion_removal.inversion.criterion import (
  Blocks,
  Cuts,
  as_is,
  criterion,
  prediction_error_filters,
  residuals,
  undo,
)

BLOCKS = Blocks(length=64, margin=32, part=16, order=8)
STARTS = np.array([40, 300, 500], np.int32)
CUTS = Cuts(STARTS, np.full(3, 1 / 3))


def music(time=700):
  noise = np.random.default_rng(0).standard_normal(time)
  return 0.02 * scipy.signal.lfilter([1.0], [1.0, -1.6, 0.8], noise)


def overdriven(signal, gain):
  driven = np.clip(gain * signal, -1, 1)
  wet = scipy.signal.lfilter([1, -1], [1, -0.995], driven - driven**3 / 3)
  return 0.5 * signal + 0.75 * wet


def by_scipy(signal, log_slope):
  """J, block by block; log_slope: of each sample."""
  total = 0.0
  for start in STARTS:
    window = np.hanning(130)[1:-1]
    cut = signal[start - 32 : start + 96] * window
    lags = np.array([cut[: len(cut) - k] @ cut[k:] for k in range(9)])
    lags[0] *= 1 + 1e-9
    predictor = scipy.linalg.solve_toeplitz(lags[:8], lags[1:])
    taken = signal[start - 8 : start + 64]
    residual = np.convolve(taken, np.r_[1, -predictor], "valid")
    parts = np.abs(residual).reshape(-1, 16).mean(axis=1)
    total += np.log(parts + 1e-9).mean()
    total += log_slope[start : start + 64].mean()
  return total / len(STARTS)


def test_prediction_equals_the_normal_equations():
  lags = np.correlate(music(), music(), "full")[699 : 699 + 13]
  with jax.enable_x64(True):
    actual = prediction_error_filters(jnp.asarray(lags)[:, None])[:, 0]
  lags[0] *= 1 + 1e-9
  expected = scipy.linalg.solve_toeplitz(lags[:12], lags[1:])
  np.testing.assert_allclose(actual, np.r_[1, -expected], atol=1e-8)


def test_equals_scipy():
  signal, gain, scale = music(), 20.0, 0.3
  audio = scale * overdriven(signal, gain)
  driven = np.clip(gain * signal, -1, 1)
  log_slope = np.log(scale * (0.5 + 0.75 * gain * (1 - driven**2)))
  with jax.enable_x64(True):
    settings = (np.array([gain, 35.0]), np.array([scale, 0.4]))
    parameters = Parameters(*settings, np.zeros(2), np.zeros(2))
    undone = undo(invertible.OVERDRIVE, jnp.asarray(audio), parameters)
    actual = criterion(BLOCKS, undone, CUTS)
    clean = criterion(BLOCKS, as_is(jnp.asarray(audio), 2), CUTS)[1]
  np.testing.assert_allclose(actual[0], by_scipy(signal, log_slope), rtol=1e-9)
  np.testing.assert_allclose(clean, by_scipy(audio, 0 * audio), rtol=1e-9)
  assert actual[0] < min(actual[1], clean)


def test_newton_damped_by_the_criterion_finds_gain_and_scale():
  starts = np.arange(40, 3900, 64, dtype=np.int32)
  cuts = Cuts(starts, np.full(len(starts), 1 / len(starts)))
  settings, change = np.array([20.2, 0.3005]), np.array([1e-4, 1e-6])

  def parameters(points):
    return Parameters(*points.T, *np.zeros((2, len(points))))

  def at(function, points):
    effect, audio = invertible.OVERDRIVE, jnp.asarray(recording)
    return function(BLOCKS, undo(effect, audio, parameters(points)), cuts)

  recording = 0.3 * overdriven(music(4000), 20.0)
  with jax.enable_x64(True):
    for _ in range(8):
      points = np.concatenate([settings[None], settings + np.diag(change)])
      error, slopes = at(residuals, points)
      step = gauss_newton.step(
        np.asarray(error), np.asarray(slopes), cuts.weights, 16, change
      )
      points = settings + step * np.array([0, 1, 0.3, 0.1, 0.03, 0.01])[:, None]
      values = at(criterion, points)
      settings = points[np.nanargmin(values)]
  np.testing.assert_allclose(settings, [20.0, 0.3], rtol=1e-3)
