"""Two JAX processes of two devices each train one run, stop, and go on."""

import json
import os
import socket
import subprocess
import sys

import pytest

_PROGRAM = """
import sys, pathlib, jax
port, process, steps, workdir, data_dir, root = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
from distortion_removal import log
from distortion_removal.config import sibling
from distortion_removal.train import train
log.setup()
config = sibling(root + "/configs/x", "quickstart").get_config("smoke")
config.data.data_dir = data_dir
config.validate_every = 100
config.checkpoint_every = int(steps)
train(config, pathlib.Path(workdir))
"""


def _run(tmp_path, name, checkpoint_every=4):
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
  env = os.environ | {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "PYTHONPATH": root,
  }
  arguments = [checkpoint_every, tmp_path / name, tmp_path / "data", root]
  processes = [
    subprocess.Popen(
      [sys.executable, "-c", _PROGRAM, str(port), str(process)]
      + [str(argument) for argument in arguments],
      env=env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for process in range(2)
  ]
  outputs = [process.communicate(timeout=300)[0] for process in processes]
  assert [p.returncode for p in processes] == [0, 0], "\n".join(outputs)
  rows = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
  return [json.loads(row) for row in rows]


@pytest.mark.slow
def test_two_processes_train_one_run(tmp_path):
  rows = _run(tmp_path, "run")
  steps = [row["step"] for row in rows if "train/loss" in row]
  # Only one of the two writes, and all four examples of a batch count.
  assert steps == [1, 2, 3, 4]
  again = _run(tmp_path, "again")
  losses, repeated = (
    [row["train/loss"] for row in run if "train/loss" in row]
    for run in (rows, again)
  )
  assert losses == repeated
  # The same command on the finished run finds nothing left to do.
  assert _run(tmp_path, "run") == rows
