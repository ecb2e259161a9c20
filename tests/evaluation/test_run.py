"""Metrics next to methods, and the time that a method takes."""

import threading
import time
import types

import jax
import numpy as np
import pytest

from distortion_removal.common import cores
from distortion_removal.evaluation import run


def test_results_come_in_order():
  assert list(run.in_threads(lambda x: x * x, range(20))) == [
    x * x for x in range(20)
  ]


def test_few_calls_wait(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 4)
  begin, made = threading.Event(), []

  def arguments():
    for i in range(10):
      made.append(i)
      yield i

  def work():
    list(run.in_threads(lambda _: begin.wait(), arguments()))

  caller = threading.Thread(target=work)
  caller.start()
  time.sleep(0.2)
  assert len(made) == 3  # One is under way, one waits, one is to be submitted.
  begin.set()
  caller.join()
  assert len(made) == 10


def test_an_error_of_a_call_comes_out_at_once():
  made = []

  def fail(_):
    raise OSError("no space")

  def arguments():
    for i in range(100):
      made.append(i)
      yield i

  with pytest.raises(OSError, match="no space"):
    list(run.in_threads(fail, arguments()))
  assert len(made) < 100


def test_after_an_error_of_the_caller_nothing_new_begins(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 1)
  done, started = [], threading.Event()

  def work(i):
    started.set()
    time.sleep(0.05)
    done.append(i)

  def arguments():
    yield 0
    yield 1
    started.wait()
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    list(run.in_threads(work, arguments()))
  assert done == [0]


@pytest.mark.e2e
def test_compiling_takes_no_time():
  """Of a program that takes long to compile, and none to run."""

  @jax.jit
  def program(x):
    for _ in range(300):
      x = np.float32(1.1) * x @ x
    return x

  x = np.eye(3, dtype=np.float32)
  start = time.perf_counter()
  _, seconds = run.timed(lambda: jax.block_until_ready(program(x)))
  elapsed = time.perf_counter() - start
  assert 0.0 < seconds < 0.5 * elapsed


def test_all_else_does(monkeypatch):
  """Functions are traced within others; threads are none of its business."""
  clock = types.SimpleNamespace(now=0.0)
  clock.perf_counter = lambda: clock.now
  monkeypatch.setattr(run, "time", clock)
  record = jax.monitoring.record_event_duration_secs
  event = "/jax/core/compile/jaxpr_trace_duration"

  def method():
    clock.now = 4.0
    record(event, 1.0)
    clock.now = 5.0
    record(event, 3.0)  # from 2 to 5
    record("/jax/other", 1.0)
    other = threading.Thread(target=record, args=(event, 4.5))
    other.start()
    other.join()
    clock.now = 8.0
    record(event, 1.0)
    clock.now = 10.0
    return "estimate"

  assert run.timed(method) == ("estimate", 10.0 - 3.0 - 1.0)
