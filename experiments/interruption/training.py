"""One tiny training: its process, its interruption, and what is left of it."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import note
from distortion_removal.training import stored_steps

ROOT = Path(__file__).resolve().parents[2]
# A step takes some milliseconds, a checkpoint some hundredths of a second.
FIELDS = {
  "model.fields.channels": 2,
  "model.fields.depth": 1,
  "model.fields.lstm_layers": 0,
  "data.segment_seconds": 0.1,
  "batch_size": 2,
  "checkpoint_every": 5,
  "validate_every": 7,
  "validation_pairs": 2,
  "validation_examples": 0,
}
_POLL_S = 0.01
STOP_S = 30.0  # as long as a machine that is taken away may leave

Trial = dict[str, Any]


class Training:
  """A process that trains in a folder, and what it logs.

  Args:
    workdir: the run's folder.
    steps: as many as it is to take in all.
    compiled: folder for compiled programs; None for the run's own.
  """

  def __init__(self, workdir: Path, steps: int, compiled: Path | None):
    fields = {"steps": steps, "data.data_dir": workdir.parent / "data"}
    command = [
      *(sys.executable, "-m", "distortion_removal.main"),
      f"--config={ROOT}/configs/quickstart.py:smoke",
      f"--workdir={workdir}",
      *(f"--config.{key}={x}" for key, x in (FIELDS | fields).items()),
    ]
    env = dict(os.environ)
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    if compiled:
      env |= {
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
      }
    self._log = workdir.with_suffix(".log")
    with self._log.open("ab") as log:
      self._offset = log.tell()
      self._process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=log)

  def logged(self) -> str:
    """Returns what this process has logged."""
    with self._log.open("rb") as log:
      log.seek(self._offset)
      return log.read().decode()

  def last_step(self) -> int | None:
    """Returns the last step that this process has logged."""
    steps = re.findall(r"^\S+ step (\d+) ", self.logged(), re.M)
    return int(steps[-1]) if steps else None

  def wait(
    self, seconds: float = math.inf, *, is_training: bool = False
  ) -> float | None:
    """Waits some seconds from now, or from the first step; or until its end.

    Returns the seconds to the first step, or None if it was not waited for.
    """
    begin = time.perf_counter()
    since = None if is_training else begin
    while self.status is None:
      now = time.perf_counter()
      if since is None and self.last_step() is not None:
        since = now
      if since is not None and now - since >= seconds:
        break
      time.sleep(_POLL_S)
    return since - begin if is_training and since is not None else None

  def end(self, kind: int) -> tuple[int, float]:
    """Sends a signal; returns the exit status, and the seconds to it."""
    begin = time.perf_counter()
    self._process.send_signal(kind)
    try:
      return self._process.wait(10 * STOP_S), time.perf_counter() - begin
    finally:
      self._process.kill()

  @property
  def status(self) -> int | None:
    """The exit status; None while it runs."""
    return self._process.poll()


def _stored(workdir: Path) -> tuple[int, bool]:
  """Returns the last step stored, 0 without, and whether all can be read."""
  try:
    for kind, items in stored_steps.ITEMS.items():
      for folder in stored_steps.folders(workdir, kind):
        for item in items:
          stored_steps.read(folder, item)
    is_whole = True
  except UserError as error:
    note(str(error))
    is_whole = False
  folders = stored_steps.folders(workdir, "last")
  return int(folders[-1].name) if folders else 0, is_whole


def _unfinished(workdir: Path) -> set[tuple[str, int]]:
  """Returns the folders that checkpoints are being written to."""
  paths = workdir.glob("checkpoints/*/*-tmp*")
  return {(path.name, path.stat().st_ino) for path in paths}


def interrupt(
  workdir: Path, steps: int, compiled: Path | None, kind: str, moment_s: float
) -> Trial:
  """Starts a training, or resumes it, and interrupts it unless it ends first.

  Args:
    workdir: as those of `Training`.
    steps: likewise.
    compiled: likewise.
    kind: "stop"; or "start" or "train", which become what was found.
    moment_s: when to interrupt it, in seconds after its start, or after its
      first step for the other kinds.
  """
  before, _ = _stored(workdir)
  left = _unfinished(workdir)
  training = Training(workdir, steps, compiled)
  start_s = training.wait(moment_s, is_training=kind != "start")
  trial = {"run": workdir.name, "kind": kind, "before": before}
  trial["start_s"] = start_s
  if training.status is not None:
    return trial | {"kind": "end", "status": training.status}
  signal_ = signal.SIGTERM if kind == "stop" else signal.SIGKILL
  status, seconds = training.end(signal_)
  stored, is_whole = _stored(workdir)
  taken = training.last_step() or before
  if kind != "stop":
    kind = "start" if taken == before else "train"
    kind = "save" if _unfinished(workdir) - left else kind
  is_kept = is_whole and stored >= before
  if kind == "stop":
    is_kept &= status == 0 and seconds <= STOP_S and stored == taken
  return trial | {
    "kind": kind,
    "status": status,
    "seconds": seconds,
    "taken": taken,
    "stored": stored,
    "is_kept": is_kept,
  }


def differences(straight: Path, run: Path) -> list[str]:
  """Lists in what a finished run differs from another, but for its speeds."""
  found = []
  for kind, items in stored_steps.ITEMS.items():
    a, b = (stored_steps.folders(x, kind)[-1] for x in (straight, run))
    if a.name != b.name:
      found.append(f"{kind}: step {b.name} instead of {a.name}")
    for item in items:
      # They have checksums of their own; here every bit counts.
      if _bits(stored_steps.read(a, item)) != _bits(stored_steps.read(b, item)):
        found.append(f"{kind}/{item}")
  if _rows(straight) != _rows(run):
    found.append("metrics.jsonl")
  remnants = [
    path.name for path in run.glob("checkpoints/*/*") if not path.name.isdigit()
  ]
  return found + remnants


def _bits(tree: Any) -> list[tuple[str, bytes]]:
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return [(str(key), np.asarray(leaf).tobytes()) for key, leaf in leaves]


def _rows(workdir: Path) -> list[dict]:
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [
    {key: x for key, x in json.loads(line).items() if "speed/" not in key}
    for line in lines
  ]
