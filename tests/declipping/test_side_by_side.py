"""Calls on several cores: in order, no more than needed, errors included."""

import threading

import pytest

from distortion_removal.declipping import side_by_side
from distortion_removal.declipping.side_by_side import call_side_by_side


def test_items_come_in_order_with_their_results():
  found = list(call_side_by_side(lambda x: x * x, range(50)))
  assert found == [(x, x * x) for x in range(50)]
  assert list(call_side_by_side(lambda x: x, [])) == []


def test_calls_run_side_by_side(monkeypatch):
  monkeypatch.setattr(side_by_side, "thread_count", lambda: 3)
  # Nobody passes before all three have come.
  barrier = threading.Barrier(3, timeout=20)
  assert len(list(call_side_by_side(lambda _: barrier.wait(), range(3)))) == 3


def test_items_are_taken_as_they_are_needed(monkeypatch):
  monkeypatch.setattr(side_by_side, "thread_count", lambda: 2)
  items = iter(range(100))
  results = call_side_by_side(lambda x: x, items)
  assert next(results) == (0, 0)
  results.close()
  assert next(items) <= 4


def test_an_error_ends_the_work():
  called = []

  def call(x):
    called.append(x)
    if x == 2:
      raise ZeroDivisionError

  with pytest.raises(ZeroDivisionError):
    list(call_side_by_side(call, range(1000)))
  assert len(called) < 100
