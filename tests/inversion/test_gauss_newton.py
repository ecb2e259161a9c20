"""A step against linear programming and a general minimiser of SciPy."""

import numpy as np
import pytest
import scipy.optimize

from distortion_removal.inversion import gauss_newton

CHANGE = np.array([1e-4, 1e-3])
PART = 16


def problem(blocks, length=64):
  """Errors linear in two settings, with heavy tails, and their slopes."""
  generator = np.random.default_rng(3)
  slopes = generator.standard_normal((blocks, length, 2)) * [1.0, 5.0]
  noise = generator.laplace(size=(blocks, length))
  noise *= np.exp(generator.standard_normal((blocks, 1)))
  return noise - slopes @ [0.7, -0.2], slopes


def step(error, slopes, log_slopes, weights, part):
  """With the errors at the settings and where each is changed."""
  changed = [error + CHANGE[k] * slopes[..., k] for k in range(2)]
  residuals = np.stack([error, *changed], axis=1)
  return gauss_newton.step(residuals, log_slopes, weights, part, CHANGE)


@pytest.fixture
def patience(monkeypatch):
  """Solutions until nothing changes; otherwise the next step goes on."""
  monkeypatch.setattr(gauss_newton, "_ROUNDS", 200)


@pytest.mark.usefixtures("patience")
def test_one_part_is_least_absolute_deviations():
  """The logarithm of one sum is least where the sum is."""
  error, slopes = problem(blocks=1, length=200)
  z = step(error, slopes, np.zeros((1, 3)), np.ones(1), 200)
  error, slopes = error[0], slopes[0]
  # Minimise the sum of bounds t, -t <= error + slopes z <= t.
  eye = np.eye(len(error))
  found = scipy.optimize.linprog(
    np.r_[np.zeros(2), np.ones(len(error))],
    A_ub=np.block([[slopes, -eye], [-slopes, -eye]]),
    b_ub=np.r_[-error, error],
    bounds=[(None, None)] * 2 + [(0, None)] * len(error),
  )
  np.testing.assert_allclose(z, found.x[:2], atol=2e-4)
  total = np.abs(error + slopes @ z).sum()
  np.testing.assert_allclose(total, found.fun, rtol=1e-5)


def test_weighted_parts_and_slopes(monkeypatch):
  error, slopes = problem(blocks=30)
  weights = np.linspace(1, 3, 30)
  weights /= weights.sum()
  tilt = np.array([0.05, -0.3])
  log_slopes = np.zeros((30, 3))
  log_slopes[:, 1:] = CHANGE * tilt

  def criterion(z):
    parts = np.abs(error + slopes @ z).reshape(30, -1, PART).mean(axis=2)
    return weights @ np.log(parts).mean(axis=1) + tilt @ z

  found = scipy.optimize.minimize(
    criterion,
    [0.7, -0.2],
    method="Nelder-Mead",
    options={"xatol": 1e-9, "fatol": 1e-12},
  )
  z = step(error, slopes, log_slopes, weights, PART)
  way = criterion(np.zeros(2)) - found.fun
  assert criterion(z) < found.fun + 2e-3 * way
  monkeypatch.setattr(gauss_newton, "_ROUNDS", 200)
  z = step(error, slopes, log_slopes, weights, PART)
  np.testing.assert_allclose(z, found.x, atol=2e-4)
  # Without the slopes it would be another place.
  level = step(error, slopes, 0 * log_slopes, weights, PART)
  assert criterion(level) > found.fun + 1e-4


def test_settings_without_effect_stay():
  error, slopes = problem(blocks=3)
  slopes[..., 1] = 0.0
  z = step(error, slopes, np.zeros((3, 3)), np.full(3, 1 / 3), PART)
  assert z[1] == 0
  assert abs(z[0] - 0.7) < 0.2
