"""The checks that metrics share."""

import threading

import numpy as np
import pytest

from distortion_removal.metrics import signals


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
