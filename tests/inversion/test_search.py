"""CMA-ES on functions with known minima; minima of a grid."""

import numpy as np

from distortion_removal.inversion import search


def test_descends_an_ill_conditioned_bowl_with_a_cusp():
  """Axes 1, 100 and 10,000 long, turned; the values' order is a cone's."""
  least_at = np.array([3.0, -2.0, 0.5])
  turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
  calls = []

  def cone(points):
    calls.append(len(points))
    return np.linalg.norm((points - least_at) @ turn * [1, 1e2, 1e4], axis=1)

  def run(generations, tolerance=0.0):
    return search.descend(
      cone,
      np.zeros((1, 3)),
      np.ones(3),
      population=16,
      generations=generations,
      tolerance=tolerance,
    )

  best, least = run(200)
  np.testing.assert_allclose(best[0], least_at, atol=1e-6)
  np.testing.assert_allclose(least, cone(best))
  np.testing.assert_array_equal(run(200)[0], best)  # no chance in it
  calls.clear()
  best, least = run(200, tolerance=1e-3)
  assert set(calls) == {16}
  assert 10 < len(calls) < 200
  assert least[0] < 1e-3


def test_first_steps_are_in_the_units_of_each_setting():
  """A setting whose step is next to nothing stays as it is given."""
  best, _ = search.descend(
    lambda points: np.abs(points - 5.0).sum(axis=1),
    np.array([[0.0, 0.0]]),
    np.array([1.0, 1e-12]),
    population=16,
    generations=40,
  )
  np.testing.assert_allclose(best, [[5.0, 0.0]], atol=1e-3)


def test_descends_a_tilted_valley_with_a_cusp_from_all_starts():
  def valley(points):
    x, y = (points - [3.0, -2.0]).T
    return np.log(1e-9 + np.abs(x + 0.9 * y) + 0.01 * np.abs(x - 0.9 * y))

  starts = np.array([[0.0, 0.0], [5.0, 1.0]])
  best, least = search.descend(
    valley, starts, np.array([1.0, 1.0]), population=16, generations=60
  )
  np.testing.assert_allclose(best, [[3.0, -2.0]] * 2, atol=1e-3)
  np.testing.assert_allclose(least, valley(best))


def test_separate_minima_are_the_lowest_of_each_neighbourhood():
  values = np.array([[3, 1, 3, 0, 3], [3, 0.5, 3, 3, 2]])
  near = {(1, 6), (6, 1)}
  minima = search.separate_minima(values, lambda i, j: (i, j) in near, 3)
  assert minima == [(0, 3), (1, 1), (1, 4)]
