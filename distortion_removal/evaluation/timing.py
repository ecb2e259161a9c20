"""Times methods side by side: seconds of work per second of audio.

Each method runs on each device in a process of its own (`timing_process`), one
after the other, on the same excerpts, so that its peak of memory is its own:

* on a CPU, what the process holds at most above what it held before the method
  was loaded: weights, compiling and estimates are in it, the excerpts are not;
* on an accelerator, the most that JAX had allocated there.

How long a declipper takes depends on the level, so every excerpt comes at every
level of the task: the time is the mean over levels. Compiling does not count.
"""

import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from distortion_removal import config as run_config
from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening, pairs
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.evaluation import baselines, plan
from distortion_removal.report.tables import timing_table

NAME = "timing.jsonl"
_MODULE = "distortion_removal.evaluation.timing_process"

Row = dict[str, Any]


class Excerpts(NamedTuple):
  """What all methods are timed on: `count` excerpts of one length.

  Attributes:
    degraded: `[count * levels, time, channels]` float32.
    clean: the same shape.
    count: of the excerpts.
  """

  degraded: np.ndarray
  clean: np.ndarray
  count: int


def time_methods(
  workdir: Path,
  config: ml_collections.ConfigDict | None = None,
  *,
  excerpts: int = 2,
  repeats: int = 5,
  largest: int = 64,
) -> Path:
  """Times a run's network and its baselines, and prints a table.

  Args:
    workdir: of the run, as for `evaluate`; gets timing.jsonl, a row for each
      method, device and batch size that was tried.
    config: as for `evaluate`.
    excerpts: of the test split that are taken, each at all levels.
    repeats: of which the median counts.
    largest: batch size that is tried; sizes are doubled until that makes a
      method no faster, or memory does not suffice.

  Returns:
    The file.

  Raises:
    UserError: as `evaluate`, or no method could be timed.
  """
  environment = dict(os.environ)
  # An accelerator is left to the processes that are timed.
  jax.config.update("jax_platforms", "cpu")
  run, config = plan.find_run(workdir, config)
  task = tasks.from_config(config.data)
  requests = _requests(workdir, run, config, task)
  if not requests:
    raise UserError(f"{workdir}: no method to time on the task {task.name}")
  audio = take_excerpts(config, task, excerpts)
  workdir.mkdir(parents=True, exist_ok=True)  # Not after hours of measuring.
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "audio.npz"
    np.savez(file, degraded=audio.degraded, clean=audio.clean)
    common = {"audio": str(file), "repeats": repeats, "largest": largest}
    for platforms in _platforms(environment):
      for request in requests:
        measured = _measure(request | common, environment | platforms)
        seconds = audio.degraded.shape[1] / config.data.sample_rate
        rows += finish(list(measured), seconds)
  if not rows:
    raise UserError("no method could be timed; the lines above say why")
  about = _about(config, task, audio)
  rows = [row | about | {"hardware": _hardware(row["device"])} for row in rows]
  path = workdir / NAME
  print(timing_table(rows))
  write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))
  print(f"\nall that was measured: {path}")
  return path


def _requests(
  workdir: Path,
  run: ml_collections.ConfigDict,
  config: ml_collections.ConfigDict,
  task: Task,
) -> list[dict[str, Any]]:
  """What `timing_process` needs to know of each method."""
  options = run_config.to_dict(config)
  found = [
    {"method": name, "is_network": False, "config": options}
    for name in config.baselines
    if baselines.get(name).applies_to(task)
  ]
  if run.model.name:
    network = {"method": run.model.name, "is_network": True}
    found.insert(0, network | {"config": run_config.to_dict(run)})
  return [request | {"workdir": str(workdir)} for request in found]


def take_excerpts(
  config: ml_collections.ConfigDict, task: Task, count: int
) -> Excerpts:
  """The first full excerpts of the test split; if there are none, the first.

  Args:
    config: its `data` names the data set.
    task: each excerpt is degraded at all its evaluation levels.
    count: how many, if there are as many.

  Raises:
    UserError: there is no such split, or it is empty.
  """
  source = opening.read_split(opening.open_dataset(config.data), "test")
  if not len(source):
    raise UserError(f"the test split of {config.data.dataset} is empty")
  length = round(config.data.excerpt_seconds * config.data.sample_rate)
  records = (source[i] for i in range(len(source)))
  full = (record for record in records if len(record["clean"]) == length)
  taken = list(itertools.islice(full, count)) or [source[0]]
  batches = [_all_levels(record, task) for record in taken]
  batch = {k: np.concatenate([each[k] for each in batches]) for k in batches[0]}
  degraded = np.asarray(jax.jit(pairs.degrader(task))(batch))
  return Excerpts(degraded, batch["clean"], len(taken))


def _all_levels(record: dict, task: Task) -> dict[str, np.ndarray]:
  """What `pairs.degrader` takes of one excerpt, an item for each level."""
  levels = task.evaluation_levels
  sides = pairs.sides(record, task)
  batch = {name: np.stack([side] * len(levels)) for name, side in sides.items()}
  seeds = [pairs.fixed_seed(record, i) for i in range(len(levels))]
  return batch | {"level": np.float32(levels), "seed": np.stack(seeds)}


def _platforms(environment: Mapping[str, str]) -> list[dict[str, str]]:
  """What makes JAX use the CPU, and the accelerator if there is one."""
  ask = f"from {_MODULE} import device_name; print(device_name())"
  answer = subprocess.run(
    [sys.executable, "-c", ask],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  if answer.returncode:
    reason = (answer.stderr.strip().splitlines() or ["killed"])[-1]
    raise UserError(f"JAX finds no device ({reason}); unset JAX_PLATFORMS")
  cpu = {"JAX_PLATFORMS": "cpu"}
  return [cpu] if answer.stdout.strip() == "cpu" else [cpu, {}]


def _measure(
  request: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Row]:
  """The rows of one process, as far as it comes."""
  method = request["method"]
  with (
    tempfile.TemporaryFile("w+") as errors,
    subprocess.Popen(
      [sys.executable, "-m", _MODULE],
      env=environment,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=errors,
      text=True,
    ) as process,
  ):
    load = os.getloadavg()[0]
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    for line in process.stdout:
      row = json.loads(line)
      logger.info(
        "timed %s on %s, batch %d", method, row["device"], row["batch"]
      )
      yield {"method": method} | row | {"load_average": load}
    if process.wait():
      errors.seek(0)
      reason = (errors.read().strip().splitlines() or ["killed"])[-1]
      logger.warning("%s: timed no further: %s", method, reason)


def finish(measured: list[Row], audio_seconds: float) -> list[Row]:
  """Rates the batch sizes of one method on one device.

  Args:
    measured: with `seconds` and `items`, as from `timing_process`.
    audio_seconds: of an item.

  Returns:
    The rows with `seconds_per_second`, and `best` for the fastest of them.
  """
  rows = []
  for row in measured:
    seconds, items = row["seconds"], row["items"]
    kept = {k: v for k, v in row.items() if k not in ("seconds", "items")}
    kept["seconds_per_second"] = seconds / (items * audio_seconds)
    rows.append(kept)
  fastest = min((row["seconds_per_second"] for row in rows), default=None)
  return [row | {"best": row["seconds_per_second"] == fastest} for row in rows]


def _about(
  config: ml_collections.ConfigDict, task: Task, audio: Excerpts
) -> Row:
  """What all rows have in common."""
  return {
    "dataset": opening.label(config.data),
    "task": task.name,
    "excerpts": audio.count,
    "levels": list(task.evaluation_levels),
    "audio_seconds": audio.degraded.shape[1] / config.data.sample_rate,
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "cores": cores.available(),
    "jax": jax.__version__,
  }


def _hardware(device: str) -> str:
  """The processor and its cores, behind the accelerator if there is one."""
  count = cores.available()
  host = f"{cpu_name()}, {count} {'core' if count == 1 else 'cores'}"
  accelerator = device.partition(":")[2]
  return f"{accelerator}; {host}" if accelerator else host


def cpu_name() -> str:
  """The processor, as it names itself."""
  info = Path("/proc/cpuinfo")
  if info.is_file():
    for line in info.read_text().splitlines():
      if line.startswith("model name"):
        return line.partition(":")[2].strip()
  return platform.processor() or platform.machine()
