"""Metrics next to methods, and the time that a method takes."""

import collections
import threading
import time
import types

import jax
import numpy as np
import pytest
from evaluation_case import make_record

from distortion_removal.common import cores
from distortion_removal.datasets import opening
from distortion_removal.evaluation import run
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.training import check_config


def test_few_calls_wait_and_results_come_in_order(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 4)
  made = []
  arguments = (made.append(x) or x for x in range(10))
  results = run.in_threads(lambda x: x * x, arguments)
  assert next(results) == 0
  assert made == [0, 1, 2]  # One at work, one waiting, one to be submitted.
  assert list(results) == [x * x for x in range(1, 10)]


def test_after_an_error_of_the_caller_nothing_new_begins(monkeypatch):
  monkeypatch.setattr(cores, "available", lambda: 1)
  done, started = [], threading.Event()

  def work(i):
    started.set()
    time.sleep(0.05)
    done.append(i)

  def arguments():
    yield from (0, 1)
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


@pytest.mark.e2e
def test_many_lengths_take_no_more_programs(tiny_run, tmp_path, monkeypatch):
  """Chunks of a second; 20 recordings of 1 to 2 s, no two of one length."""
  compiled = collections.Counter()

  def note(event, seconds, *, fun_name="", **_):
    if event == "/jax/core/compile/backend_compile_duration":
      compiled[fun_name] += 1

  jax.clear_caches()  # of other tests, which may have used the same network
  # The listener stays, which costs nothing.
  jax.monitoring.register_event_duration_secs_listener(note)
  for name in ("config.json", "checkpoints"):
    (tmp_path / name).symlink_to(tiny_run / name)
  config = check_config.load(tiny_run)
  config.update({"listen_excerpts": 0, "metrics": ("sdr",)})
  lengths = range(8_200, 16_000, 400)
  records = [make_record(str(x), x / 8000) for x in lengths]
  monkeypatch.setattr(opening, "read_split", lambda *_: records)
  evaluate(tmp_path, config)
  # The effect, the network, and a mask for each of four lengths of buffers.
  most = {"jit(<lambda>)": 1, "jit(_apply)": 1, "jit(_masked)": 4}
  assert compiled["jit(_apply)"] == 1
  assert all(count <= most.get(name, 1) for name, count in compiled.items())
