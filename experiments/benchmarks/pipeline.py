"""Times the input pipeline: pairs a second alone, and its share of a step.

  python -m experiments.benchmarks.pipeline

Alone, grain's pipeline (read, decode, crop, draw a level, batch, move to the
device) takes turns with two peers over the same records: a plain loop without
read-ahead, and PyTorch's DataLoader where torch is installed. In training, it
feeds the optimiser steps of a config; what a step waits for `next` is compared
with the step's time, and that with the time of the same step on a batch that
is there already.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import jax
import ml_collections
import numpy as np

from distortion_removal import models
from distortion_removal.common import devices
from distortion_removal.config import sibling
from distortion_removal.datasets import opening, pairs
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.training import objectives, steps
from experiments import provenance

_QUICKSTART = os.path.join(
  os.path.dirname(__file__), "..", "..", "configs", "quickstart.py"
)
_DRAW_SEED = 0


def plain_batches(
  source: opening.Source, task: Task, segment: int, batch_size: int
) -> Iterator[dict]:
  """Yields what the peer without read-ahead makes: the same work in a loop."""
  rng = np.random.default_rng(_DRAW_SEED)
  while True:
    clean, levels = [], []
    for index in rng.integers(len(source), size=batch_size):
      audio = pairs.sides(source[int(index)], task)["clean"]
      clean.append(pairs.crop(audio, segment, rng))
      levels.append(rng.uniform(*task.train_levels))
    batch = {"clean": np.stack(clean), "level": np.float32(levels)}
    yield jax.device_put(devices.split_batch(batch), devices.batch_sharding())


def torch_batches(
  source: opening.Source, task: Task, segment: int, batch_size: int
) -> Iterator[dict]:
  """Yields what PyTorch's DataLoader makes with one worker process."""
  import torch

  class Pairs(torch.utils.data.Dataset):
    def __len__(self) -> int:
      return len(source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.float32]:
      rng = np.random.default_rng([_DRAW_SEED, index])
      audio = pairs.sides(source[index], task)["clean"]
      level = np.float32(rng.uniform(*task.train_levels))
      return pairs.crop(audio, segment, rng), level

  loader = torch.utils.data.DataLoader(
    Pairs(), batch_size, shuffle=True, num_workers=1, persistent_workers=True
  )
  while True:
    yield from loader


def pairs_per_second(
  batches: Iterator[dict], batch_size: int, seconds: float
) -> float:
  """Draws batches for a while; returns pairs a second."""
  next(batches)
  count, start = 0, time.perf_counter()
  while time.perf_counter() - start < seconds:
    next(batches)
    count += 1
  return count * batch_size / (time.perf_counter() - start)


def step_times(
  step: Callable, state: object, batches: Iterator[dict], count: int
) -> tuple[object, list[float], list[float]]:
  """Runs steps one by one; returns the state, their times and the waits."""
  times, waits = [], []
  for _ in range(count):
    start = time.perf_counter()
    batch = next(batches)
    waits.append(time.perf_counter() - start)
    state, scalars = step(state, batch)
    jax.block_until_ready((state, scalars))
    times.append(time.perf_counter() - start)
  return state, times, waits


def training_step(
  config: ml_collections.ConfigDict,
) -> tuple[Callable, steps.TrainState]:
  """Compiles the step of a config; returns it and its first state."""
  degrade = pairs.degrader(tasks.from_config(config.data))
  model = models.from_config(config)
  objective = objectives.create(config.objective, model, config.loss)

  def step(state, batch):
    return steps.train_step(
      state,
      batch,
      degrade=degrade,
      objective=objective,
      ema_decay=config.ema_decay,
      seed=config.seed,
    )

  state = steps.create_state(config, model)
  return devices.map_train(step), devices.replicate(state)


def _alone(sources: dict[str, Iterator], batch_size: int, rounds: int) -> None:
  rates = {name: [] for name in sources}
  for _ in range(rounds):
    for name, batches in sources.items():
      rates[name].append(pairs_per_second(batches, batch_size, 2.0))
  medians = {name: statistics.median(rate) for name, rate in rates.items()}
  for name, rate in medians.items():
    ratio = medians["ours"] / rate
    print(f"{name:<12}{rate:9.0f} pairs/s   ours is {ratio:.2f} times as fast")


def _in_training(
  config: ml_collections.ConfigDict, batches: Iterator, count: int
) -> None:
  step, state = training_step(config)
  ready = itertools.repeat(next(batches))
  state, _, _ = step_times(step, state, ready, 3)
  loaded, waited, cached = [], [], []
  for _ in range(5):
    state, times, waits = step_times(step, state, batches, count // 5)
    loaded, waited = loaded + times, waited + waits
    state, times, _ = step_times(step, state, ready, count // 5)
    cached += times
  share = sum(waited) / sum(loaded)
  slower = statistics.median(loaded) / statistics.median(cached) - 1.0
  print(
    f"step: {statistics.median(loaded) * 1e3:.1f} ms with the pipeline, "
    f"{statistics.median(cached) * 1e3:.1f} ms with a batch that is there "
    f"({100 * slower:+.1f} %)\n"
    f"waiting for data: median {statistics.median(waited) * 1e3:.2f} ms, "
    f"{100 * share:.2f} % of the time"
  )


def main() -> None:
  """Runs the command line, see the module's text."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--batch", type=int, default=8)
  parser.add_argument("--seconds", type=float, default=2.0, help="of a crop")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--steps", type=int, default=100)
  options = parser.parse_args()
  config = sibling(_QUICKSTART, "quickstart").get_config()
  config.batch_size = options.batch
  config.data.segment_seconds = options.seconds
  segment = round(options.seconds * config.data.sample_rate)
  task = tasks.from_config(config.data)
  print(provenance.machine_line())
  with tempfile.TemporaryDirectory() as folder:
    builder = opening.open_builder(
      "plucked_strings", task=task.name, data_dir=folder, train_minutes=10.0
    )
    source = opening.read_split(prepare(builder), "train")
    ours = pairs.training_batches(
      source, task, segment=segment, batch_size=options.batch, seed=0
    )
    arguments = (source, task, segment, options.batch)
    sources = {"ours": ours, "plain loop": plain_batches(*arguments)}
    try:
      import torch  # noqa: F401

      sources["DataLoader"] = torch_batches(*arguments)
    except ImportError:
      print("torch is not installed: no comparison with its DataLoader")
    _alone(sources, options.batch, options.rounds)
    _in_training(config, ours, options.steps)
    ours.close()


if __name__ == "__main__":
  main()
