"""Times methods side by side: seconds of work per second of audio.

Each method runs on each device in a process of its own (`timing_process`), one
after the other, on the same excerpts, so that it has a memory peak of its own:

* on a CPU, the most that the process holds above what it held before the method
  was loaded: weights, compiling and estimates count, the excerpts do not;
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from distortion_removal.common import cores
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import one_line, write_whole
from distortion_removal.common.log import logger, say
from distortion_removal.config import to_dict
from distortion_removal.datasets import opening, pairs
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.evaluation import baselines
from distortion_removal.evaluation.excerpts import at_all_levels
from distortion_removal.evaluation.plan import find_run
from distortion_removal.report.tables import timing_table
from distortion_removal.training import shipped

NAME = "timing.jsonl"
_MODULE = "distortion_removal.evaluation.timing_process"

Row = dict[str, Any]


def time_methods(
  workdir: Path,
  config: ml_collections.ConfigDict | None = None,
  *,
  excerpts: int = 2,
  repeats: int = 5,
  largest: int = 64,
) -> Path:
  """Times a run's network and its baselines; prints a table, returns the file.

  Args:
    workdir: the run's folder, as for `evaluate`; gets timing.jsonl, a row for
      each method, device and batch size that was tried.
    config: the configuration, as for `evaluate`.
    excerpts: number of excerpts from the test split, each at all levels.
    repeats: number of repeats, of which the median counts.
    largest: largest batch size to try; sizes are doubled until that makes a
      method no faster, or memory does not suffice.

  Raises:
    UserError: as for `evaluate`, or no method could be timed.
  """
  environments = _environments(dict(os.environ))
  # An accelerator is left to the processes that are timed.
  jax.config.update("jax_platforms", "cpu")
  workdir = shipped.as_run(workdir)
  run, config = find_run(workdir, config)
  task = tasks.from_config(config.data)
  requests = _requests(workdir, run, config, task)
  if not requests:
    raise UserError(f"{workdir}: no method to time on the task {task.name}")
  degraded, clean = take_excerpts(config, task, excerpts)
  workdir.mkdir(parents=True, exist_ok=True)  # Not after hours of measuring.
  common = _common_fields(config, task, degraded.shape)
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    audio = Path(folder) / "audio.npz"
    np.savez(audio, degraded=degraded, clean=clean)
    options = {"audio": str(audio), "repeats": repeats, "largest": largest}
    for environment in environments:
      for request in requests:
        request |= options
        rows += _measure(request, environment, common["audio_seconds"])
  if not rows:
    raise UserError("no method could be timed; the lines above say why")
  path = workdir / NAME
  rows = [row | common | {"hardware": _hardware(row["device"])} for row in rows]
  write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))
  say(timing_table(rows))
  say(f"\nall that was measured: {one_line(path)}")
  return path


def _requests(
  workdir: Path,
  run: ml_collections.ConfigDict,
  config: ml_collections.ConfigDict,
  task: Task,
) -> list[dict[str, Any]]:
  """Describes each method to `timing_process`."""
  network = {"method": run.model.name, "is_network": True}
  network |= {"config": to_dict(run), "workdir": str(workdir)}
  others = [
    {"method": name, "is_network": False, "config": to_dict(config)}
    for name in config.baselines
    if baselines.get(name).applies_to(task)
  ]
  return [network, *others] if run.model.name else others


def take_excerpts(
  config: ml_collections.ConfigDict, task: Task, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Takes `count` full excerpts of the test split; if none is, the first.

  Returns:
    The degraded and the clean audio, `[excerpts * levels, time, channels]`.
  """
  source = opening.read_split(opening.open_dataset(config.data), "test")
  if not len(source):
    raise UserError(f"the test split of {config.data.dataset} is empty")
  length = round(config.data.excerpt_seconds * config.data.sample_rate)
  records = (source[i] for i in range(len(source)))
  full = (record for record in records if len(record["clean"]) == length)
  taken = list(itertools.islice(full, count)) or [source[0]]
  batches = [at_all_levels(x, task, len(taken[0]["clean"])) for x in taken]
  batch = {k: np.concatenate([x[k] for x in batches]) for k in batches[0]}
  return np.asarray(jax.jit(pairs.degrader(task))(batch)), batch["clean"]


def _environments(environment: Mapping[str, str]) -> list[dict[str, str]]:
  """Returns those in which JAX uses the CPU, and an accelerator if it has one.

  Raises:
    UserError: it does not start in the given one.
  """
  answer = _python(["-m", _MODULE, "--device"], environment)
  if answer.returncode:
    raise UserError(_last_line(answer).removeprefix("error: "))
  cpu = {**environment, "JAX_PLATFORMS": "cpu"}
  is_cpu = answer.stdout.strip() == "cpu"
  return [cpu] if is_cpu else [cpu, dict(environment)]


def _measure(
  request: Mapping[str, Any],
  environment: Mapping[str, str],
  audio_seconds: float,
) -> list[Row]:
  """Times one method on one device, as far as it comes."""
  method = request["method"]
  load = os.getloadavg()[0]
  process = _python(["-m", _MODULE], environment, json.dumps(request))
  rows = [json.loads(line) for line in process.stdout.splitlines()]
  if process.returncode:
    logger.warning("%s: timed no further: %s", method, _last_line(process))
  for row in rows:
    logger.info("timed %s on %s, batch %d", method, row["device"], row["batch"])
    row |= {"load_average": load}
    row["seconds_per_second"] = row.pop("seconds_per_item") / audio_seconds
  fastest = min((row["seconds_per_second"] for row in rows), default=None)
  return [
    {"method": method} | row | {"best": row["seconds_per_second"] == fastest}
    for row in rows
  ]


def _python(
  arguments: Sequence[str], environment: Mapping[str, str], text: str = ""
) -> subprocess.CompletedProcess:
  """Runs Python with `text` as its input."""
  return subprocess.run(
    [sys.executable, *arguments],
    env=environment,
    input=text,
    capture_output=True,
    text=True,
    check=False,
  )


def _last_line(process: subprocess.CompletedProcess) -> str:
  return (process.stderr.strip().splitlines() or ["killed"])[-1]


def _common_fields(
  config: ml_collections.ConfigDict, task: Task, shape: tuple[int, ...]
) -> Row:
  """Returns the fields that all rows share."""
  items, length, channels = shape
  return {
    "dataset": opening.label(config.data),
    "task": task.name,
    "excerpts": items // len(task.evaluation_levels),
    "levels": list(task.evaluation_levels),
    "audio_seconds": length / config.data.sample_rate,
    "sample_rate": config.data.sample_rate,
    "channels": channels,
    "cores": cores.available(),
    "jax": jax.__version__,
  }


def _hardware(device: str) -> str:
  """Names the accelerator, if there is one, the processor and its cores."""
  count = cores.available()
  host = f"{cpu_name()}, {count} {'core' if count == 1 else 'cores'}"
  accelerator = device.partition(":")[2]
  return f"{accelerator}; {host}" if accelerator else host


def cpu_name() -> str:
  """Returns the processor's own name."""
  info = Path("/proc/cpuinfo")
  if info.is_file():
    for line in info.read_text().splitlines():
      if line.startswith("model name"):
        return line.partition(":")[2].strip()
  return platform.processor() or platform.machine()
