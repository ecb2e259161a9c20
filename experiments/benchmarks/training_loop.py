"""Times what a training does besides its steps: starting and storing.

  python -m experiments.benchmarks.training_loop

A run on generated guitar, in a process of its own: seconds from the command to
the end of its first step, and of the first one after an interruption, with what
it has compiled before. Then its steps, with and without a checkpoint after the
first of them, take turns: what a checkpoint holds them up, and the share of
that in the steps between two checkpoints.
"""

import argparse
import functools
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import ml_collections

from distortion_removal import config as run_config
from distortion_removal.config import sibling
from distortion_removal.datasets import opening
from distortion_removal.training.batches import open_batches
from distortion_removal.training.checkpoint import Checkpoints
from experiments import provenance
from experiments.benchmarks.pipeline import training_step

_ROOT = Path(__file__).resolve().parents[2]
_DATASET = "plucked_strings_smoke"
_SETTLE_S = 1.0


def _rows(workdir: Path) -> int:
  """Counts the steps that have been logged."""
  path = workdir / "metrics.jsonl"
  return path.read_text().count("train/loss") if path.exists() else 0


def seconds_to_a_step(name: str, data: Path, workdir: Path) -> float:
  """Trains in a process until it logs a step; returns the seconds of that.

  Then it is asked to stop, and stores that step.
  """
  command = [
    *(sys.executable, "-m", "distortion_removal.main", f"--config={name}"),
    *(f"--workdir={workdir}", f"--config.data.dataset={_DATASET}"),
    *(f"--config.data.data_dir={data}", "--config.log_every=1"),
    *("--config.validation_pairs=1", "--config.pretrain_steps=0"),
  ]
  environment = dict(os.environ)
  environment.pop("JAX_COMPILATION_CACHE_DIR", None)
  before, start = _rows(workdir), time.perf_counter()
  with subprocess.Popen(
    command,
    cwd=_ROOT,
    env=environment,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  ) as process:
    while _rows(workdir) == before:
      if process.poll() is not None:
        raise RuntimeError(f"it failed: {' '.join(command)}")
      time.sleep(0.02)
    seconds = time.perf_counter() - start
    process.terminate()
  return seconds


def stall(
  config: ml_collections.ConfigDict, folder: Path, steps: int, rounds: int
) -> tuple[float, float]:
  """Returns seconds of a step, and those that a checkpoint holds steps up."""
  step, state = training_step(config)
  batches, *_ = open_batches(config, opening.open_dataset(config.data), 0)
  checkpoints, numbers = Checkpoints(folder), itertools.count(1)
  times = {False: [], True: []}
  for number in range(2 * rounds + 2):
    stores, start = bool(number % 2), time.perf_counter()
    for index in range(steps):
      state, _ = step(state, next(batches))
      if stores and index == 0:
        checkpoints.save_last(next(numbers), state)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - start
    if number >= 2:  # The first of each compiles.
      times[stores].append(seconds)
    # What is left of a checkpoint is not the next turn's.
    time.sleep(_SETTLE_S)
  checkpoints.close()
  batches.close()
  without, with_one = (statistics.median(times[x]) for x in (False, True))
  return without / steps, with_one - without


def main() -> None:
  """Runs the command line, see the module's text."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument(
    "--configs", nargs="+", default=["quickstart", "umx_ceg_overdrive"]
  )
  parser.add_argument("--steps", type=int, default=20)
  parser.add_argument("--rounds", type=int, default=5)
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    # First of all, as a device may serve one process at a time.
    for name in options.configs:
      run = functools.partial(seconds_to_a_step, name, folder / "data")
      run(folder / f"{name} before")  # It also generates the recordings.
      for kind in ("new", "resumed"):
        seconds = run(folder / name)
        print(f"{name}, first step, {kind}: {seconds:.1f} s", flush=True)
    for name in options.configs:
      config = sibling(run_config.find(name), name).get_config()
      config.data.dataset, config.validation_pairs = _DATASET, 1
      config.data.data_dir = str(folder / "data")
      seconds, held_up = stall(
        config, folder / f"{name} stored", options.steps, options.rounds
      )
      between = config.checkpoint_every * seconds
      print(
        f"{name}, checkpoint: {held_up * 1e3:.0f} ms, a step "
        f"{seconds * 1e3:.0f} ms: {100 * held_up / between:.2f} % of the "
        f"{config.checkpoint_every} steps between two",
        flush=True,
      )
  print(provenance.machine_line())


if __name__ == "__main__":
  main()
