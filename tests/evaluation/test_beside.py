"""Work beside the caller, and the time that a method takes."""

import threading
import time
import types

import jax
import numpy as np
import pytest
from distortion_removal.evaluation.beside import Beside
from distortion_removal.evaluation.stopwatch import Stopwatch

from distortion_removal.common import cores
from distortion_removal.evaluation import stopwatch


def test_all_work_is_done_on_leaving():
  done = []
  with Beside() as beside:
    for i in range(20):
      beside.submit(done.append, i)
  assert sorted(done) == list(range(20))


def test_few_calls_wait(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 4)
  begin, submitted = threading.Event(), []

  def submit():
    with Beside() as beside:
      for i in range(10):
        beside.submit(begin.wait)
        submitted.append(i)

  caller = threading.Thread(target=submit)
  caller.start()
  time.sleep(0.2)
  assert len(submitted) == 2  # One is under way, one waits.
  begin.set()
  caller.join()
  assert len(submitted) == 10


def _fail():
  raise OSError("no space")


def test_an_error_comes_out_of_a_later_call_or_the_end():
  with pytest.raises(OSError, match="no space"), Beside() as beside:
    beside.submit(_fail)
    for _ in range(10):
      beside.submit(lambda: None)
    pytest.fail("it is told at once")
  with pytest.raises(OSError, match="no space"), Beside() as beside:
    beside.submit(_fail)


def test_after_an_error_of_the_caller_nothing_new_begins(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 1)
  done, started = [], threading.Event()

  def work(i):
    started.set()
    time.sleep(0.05)
    done.append(i)

  with pytest.raises(KeyboardInterrupt), Beside() as beside:
    beside.submit(work, 0)
    beside.submit(work, 1)
    started.wait()
    raise KeyboardInterrupt
  assert done == [0]


def test_compiling_takes_no_time():
  """Of a program that takes long to compile, and none to run."""

  @jax.jit
  def program(x):
    for _ in range(300):
      x = np.float32(1.1) * x @ x
    return x

  x = np.eye(3, dtype=np.float32)
  start = time.perf_counter()
  with Stopwatch() as watch:
    jax.block_until_ready(program(x))
  elapsed = time.perf_counter() - start
  assert 0.0 < watch.seconds < 0.5 * elapsed


def test_all_else_does(monkeypatch):
  """Functions are traced within others; threads are none of its business."""
  now = 0.0
  clock = types.SimpleNamespace(perf_counter=lambda: now)
  monkeypatch.setattr(stopwatch, "time", clock)
  record = jax.monitoring.record_event_duration_secs
  event = "/jax/core/compile/jaxpr_trace_duration"
  with Stopwatch() as watch:
    now = 4.0
    record(event, 1.0)
    now = 5.0
    record(event, 3.0)  # from 2 to 5
    record("/jax/other", 1.0)
    other = threading.Thread(target=record, args=(event, 4.5))
    other.start()
    other.join()
    now = 8.0
    record(event, 1.0)
    now = 10.0
  assert watch.seconds == 10.0 - 3.0 - 1.0
