"""Units of channels; what solvers are given and what becomes of the result."""

import numpy as np

from distortion_removal.declipping.clip_level import Rails
from distortion_removal.declipping.segments import Cut
from distortion_removal.declipping.segmentwise import (
  declip_segments,
  rail_units,
)


def test_units_are_the_farther_rail_or_that_of_the_other_channels():
  inf = np.inf
  low = np.array([[-0.2, -inf, -0.5], [-inf, -inf, -inf]])
  high = np.array([[0.4, inf, inf], [inf, inf, inf]])
  expected = [[0.4, 0.5, 0.5], [1, 1, 1]]
  np.testing.assert_array_equal(rail_units(Rails(low, high)), expected)


def test_a_solver_is_given_bounds_in_units_and_its_result_is_kept_within():
  audio = np.array([[[0.2, -0.1], [0.4, 0.3], [0.7, -0.5], [-0.0, 0.1]]])
  rails = Rails(np.array([[-np.inf, -0.5]]), np.array([[0.4, np.inf]]))
  given = []

  def solve(item, low, high):
    given.append((item, low, high))
    return np.full_like(low, 1.5)

  restored, info = declip_segments(
    solve, audio, rails, Cut(6, 2, 0), precision="float64", show_progress=False
  )
  ((item, low, high),) = given
  inf = np.inf
  assert (item, info.segments) == (0, 1)
  known = [[0.5, 1, 1, 0], [-0.2, 0.6, -inf, 0.2]]
  np.testing.assert_allclose(low, known)
  np.testing.assert_allclose(high, [[0.5, inf, inf, 0], [-0.2, 0.6, -1, 0.2]])
  expected = [[[0.2, -0.1], [0.6, 0.3], [0.6, -0.5], [-0.0, 0.1]]]
  np.testing.assert_allclose(restored, expected)
  # To the bit, and the sign of a zero.
  assert np.signbit(restored[0, 3, 0])


def test_segments_fade_and_those_without_clipping_cost_nothing():
  audio = np.zeros((1, 50, 1), np.float32)
  audio[0, [25, 45]] = 0.5
  rails = Rails(np.array([[-np.inf]]), np.array([[0.5]]))
  calls = []

  def solve(item, low, high):
    calls.append(low.shape)
    return np.full_like(low, 2.0 * len(calls))

  restored, info = declip_segments(
    solve, audio, rails, Cut(20, 10, 4), precision="float32", show_progress=0
  )
  # Segments begin at 0, 16 and 32; the last one is padded.
  assert (info.segments, calls) == (2, [(1, 20), (1, 20)])
  np.testing.assert_array_equal(np.flatnonzero(restored), [25, 45])
  np.testing.assert_allclose(restored[0, [25, 45], 0], [1, 2])
