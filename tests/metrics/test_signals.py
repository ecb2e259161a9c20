"""Items of a batch, side by side."""

import threading

from distortion_removal.metrics import signals


def test_items_run_side_by_side_and_stay_in_order(monkeypatch):
  monkeypatch.setattr(signals.cores, "available", lambda: 2)
  together = threading.Barrier(2, timeout=10)

  def function(item):
    together.wait()  # Both must be there at the same time.
    return 10 * item

  assert signals.map_items(function, [3, 1]) == [30, 10]
  assert signals.map_items(function, []) == []
