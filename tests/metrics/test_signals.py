"""The checks that metrics share."""

import threading

import numpy as np
import pytest

from distortion_removal.metrics import signals


def test_shapes_and_types_that_fit_pass_unchanged():
  estimate = np.ones((3, 5, 2), np.float32)
  for batch in (1, 3):
    target = np.ones((batch, 5, 2))
    checked = signals.check_pair(estimate, target)
    assert checked[0] is estimate and checked[1] is target


@pytest.mark.parametrize("shape", [(2, 5, 2), (3, 4, 2), (3, 5, 1), (5, 2)])
def test_shapes_that_do_not_fit_are_named(shape):
  with pytest.raises(ValueError) as raised:
    signals.check_pair(np.ones((3, 5, 2)), np.ones(shape))
  assert "(3, 5, 2)" in str(raised.value) and str(shape) in str(raised.value)


def test_defined_asks_for_finite_samples_and_a_target():
  target = np.ones((5, 4, 1))
  target[1] = 0
  target[2, 3] = np.nan
  estimate = np.ones((5, 4, 1))
  estimate[3, 0] = -np.inf
  estimate[4] = 0
  found = signals.defined(estimate, target)
  np.testing.assert_array_equal(found, [True, False, False, False, True])
  found = signals.defined(estimate, target[:1])
  np.testing.assert_array_equal(found, [True, True, True, False, True])


def test_items_run_side_by_side_and_stay_in_order(monkeypatch):
  monkeypatch.setattr(signals.cores, "available", lambda: 2)
  together = threading.Barrier(2, timeout=10)

  def function(item):
    together.wait()  # Both must be there at the same time.
    return 10 * item

  assert signals.map_items(function, [3, 1]) == [30, 10]


def test_errors_of_items_are_raised():
  def function(item):
    raise OSError("no")

  with pytest.raises(OSError, match="no"):
    signals.map_items(function, [1, 2])
  assert signals.map_items(function, []) == []
