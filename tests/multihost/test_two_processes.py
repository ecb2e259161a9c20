"""Two JAX processes of several devices each: one run, one evaluation."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from conftest import ROOT

from distortion_removal import models
from distortion_removal.training import check_config, steps
from distortion_removal.training.checkpoint import Checkpoints

pytestmark = pytest.mark.e2e

_TRAINING = """
import sys, pathlib, jax
port, process, workdir, root, source = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
from distortion_removal.common import log
from distortion_removal.config import sibling
from distortion_removal.training.train import train
log.setup()
workdir = pathlib.Path(workdir)
config = sibling(root + "/configs/x", "quickstart").get_config("smoke")
config.data.data_dir = str(workdir.parent / "data")
config.model.fields.update(depth=1, lstm_layers=0)
config.validate_every = 100
config.checkpoint_every = 4
config.initialize_from = source
train(config, workdir)
"""


_EVALUATION = """
import sys, pathlib, jax
port, process, workdir = sys.argv[1:]
if port != "alone":
  jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
from distortion_removal.common import log
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.evaluation import plan
log.setup()
plan._MAX_BLOCK_EXCERPTS = 1
evaluate(pathlib.Path(workdir))
"""


# Eight examples over all devices; the second process dies after step 3 of 4.
_SPREAD = """
import os, sys, pathlib, jax
port, process, workdir, root, dies = sys.argv[1:]
if port != "alone":
  jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
assert jax.device_count() == 8
from distortion_removal.config import sibling
from distortion_removal.training import train
workdir = pathlib.Path(workdir)
config = sibling(root + "/configs/x", "quickstart").get_config("smoke")
config.data.data_dir = str(workdir.parent / "data")
config.model.fields.update(depth=1, lstm_layers=0)
config.batch_size = 8
config.checkpoint_every = 2
config.validate_every = 100
class Checkpoints(train.Checkpoints):
  def reached_preemption(self, step):
    if step == 3 and process == dies:
      self._wait()
      os.kill(os.getpid(), 9)
    return super().reached_preemption(step)
train.Checkpoints = Checkpoints
train.train(config, workdir)
"""


def _start(program, *arguments, devices=2):
  env = os.environ | {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    "PYTHONPATH": str(ROOT),
  }
  return subprocess.Popen(
    [sys.executable, "-c", program, *map(str, arguments)],
    env=env,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def _start_two(program, *arguments, devices=2):
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  return [
    _start(program, port, k, *arguments, devices=devices) for k in range(2)
  ]


def _two(program, *arguments, devices=2):
  """Runs a program as two processes; returns what they print."""
  processes = _start_two(program, *arguments, devices=devices)
  outputs = [process.communicate(timeout=300)[0] for process in processes]
  assert [p.returncode for p in processes] == [0, 0], "\n".join(outputs)
  return outputs


def _train(workdir, source="", key="train/loss", program=_TRAINING):
  """Trains in two processes; returns the losses, or others, by step."""
  _two(program, workdir, ROOT, source)
  rows = [json.loads(row) for row in (workdir / "metrics.jsonl").open()]
  return [(row["step"], row[key]) for row in rows if key in row]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """The folder of a run, and its losses."""
  workdir = tmp_path_factory.mktemp("multihost") / "run"
  return workdir, _train(workdir)


def test_two_processes_train_one_run(run):
  workdir, losses = run
  # Only one of the two writes, and all four examples of a batch count.
  assert [step for step, _ in losses] == [1, 2, 3, 4]
  assert _train(workdir.with_name("again")) == losses
  # The same command on the finished run finds nothing left to do.
  logged = (workdir / "metrics.jsonl").read_bytes()
  assert _train(workdir) == losses
  assert (workdir / "metrics.jsonl").read_bytes() == logged


def test_two_processes_start_from_the_same_weights(run):
  """Validation sees at step 0 what it saw at the end of the source."""
  workdir, _ = run
  tuned = workdir.with_name("tuned")
  (start, first), _ = _train(tuned, workdir, key="validation/si_sdr")
  rows = [json.loads(row) for row in (workdir / "metrics.jsonl").open()]
  assert start == 0
  assert first == pytest.approx(rows[-1]["validation/si_sdr"], abs=1e-4)


def test_sigterm_to_one_of_two_processes_stops_both(run, tmp_path):
  """Both end with status 0 after the same step, which is stored."""
  endless = _TRAINING.replace(
    "config.checkpoint_every = 4",
    "config.steps = config.checkpoint_every = 1_000_000",
  )
  (tmp_path / "data").symlink_to(run[0].parent / "data")
  workdir = tmp_path / "run"
  processes = _start_two(endless, workdir, ROOT, "")
  try:
    for _ in range(2_000):
      rows = workdir / "metrics.jsonl"
      if rows.exists() and rows.stat().st_size:
        break
      time.sleep(0.1)
    processes[1].terminate()
    begin = time.monotonic()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert time.monotonic() - begin < 30
  finally:
    for process in processes:
      process.kill()
  assert [p.returncode for p in processes] == [0, 0], "\n".join(outputs)
  (stored,) = (workdir / "checkpoints" / "last").iterdir()
  line = f"stopped at step {stored.name} of 1000000 as asked; the same command"
  assert all(line in output for output in outputs), outputs
  # Both resume from it.
  last = int(stored.name) + 2
  losses = _train(workdir, program=endless.replace("1_000_000", str(last)))
  assert [step for step, _ in losses] == list(range(1, last + 1))


def _scores(workdir):
  (path,) = workdir.glob("evaluation/*/results.jsonl")
  return [json.loads(line) for line in path.open()]


def test_two_processes_evaluate_one_run(run):
  """The rows are those of one process, in their order."""
  workdir, _ = run
  outputs = _two(_EVALUATION, workdir)
  assert ["Median SI-SDR" in output for output in outputs] == [True, False]
  shared = _scores(workdir)
  shutil.rmtree(workdir / "evaluation")
  alone = _start(_EVALUATION, "alone", 0, workdir, devices=1)
  output, _ = alone.communicate(timeout=300)
  assert alone.returncode == 0, output
  rows = _scores(workdir)
  assert len(rows) == len(shared) == 3 * 3 * 7
  for a, b in zip(rows, shared, strict=True):
    for key in ("file", "method", "gain_db"):
      assert a[key] == b[key]
    for key in ("si_sdr", "sdr", "peaq", "r_nonlin"):
      assert a[key] == pytest.approx(b[key], abs=1e-3)


def _rows(workdir):
  rows = [json.loads(row) for row in (workdir / "metrics.jsonl").open()]
  return [(r["step"], r["train/loss"]) for r in rows if "train/loss" in r]


def _last(workdir):
  """The state that the run in a folder can go on from."""
  config = check_config.load(workdir)
  state = steps.create_state(config, models.from_config(config))
  checkpoints = Checkpoints(workdir)
  state = checkpoints.restore_last(state)
  checkpoints.close()
  return state


def test_a_killed_process_costs_the_run_nothing(tmp_path, record_property):
  """Two processes of four devices, one killed and resumed, are one of eight."""
  whole, halves = tmp_path / "whole", tmp_path / "halves"
  alone = _start(_SPREAD, "alone", 0, whole, ROOT, "", devices=8)
  output, _ = alone.communicate(timeout=300)
  assert alone.returncode == 0, output
  first, second = _start_two(_SPREAD, halves, ROOT, "1", devices=4)
  output, _ = second.communicate(timeout=300)
  assert second.returncode == -9, output
  # The other one notices by itself, or a launcher ends it.
  try:
    first.wait(timeout=30)
  except subprocess.TimeoutExpired:
    first.kill()
  first.communicate()
  assert first.returncode != 0
  assert int(_last(halves).step) == 2
  _two(_SPREAD, halves, ROOT, "", devices=4)
  (seen, found), (wanted_seen, wanted) = (
    zip(*_rows(workdir), strict=True) for workdir in (halves, whole)
  )
  assert seen == wanted_seen == (1, 2, 3, 4)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  found, wanted = _last(halves), _last(whole)
  deviations = jax.tree.leaves(
    jax.tree.map(
      lambda a, b: float(np.linalg.norm(a - b) / np.linalg.norm(b)),
      (found.params, found.ema),
      (wanted.params, wanted.ema),
    )
  )
  row = {
    "network": check_config.load(whole).model.name,
    "processes": 2,
    "devices": 4,
    "case": "killed and resumed",
    "deviation": max(deviations),
  }
  # For experiments/robustness.py.
  record_property("comparison", json.dumps(row))
  np.testing.assert_allclose(deviations, 0, atol=1e-5)
