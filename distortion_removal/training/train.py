"""The training loop: data, steps, logs, validation and checkpoints."""

import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from flax import linen as nn
from tqdm import tqdm

from distortion_removal import models
from distortion_removal.common import devices
from distortion_removal.common.log import logger, note
from distortion_removal.datasets import clipped_pairs, opening, pairs
from distortion_removal.datasets.spectrum_statistics import mixture_statistics
from distortion_removal.effects import tasks
from distortion_removal.training import (
  bad_steps,
  check_config,
  objectives,
  steps,
  tracing,
)
from distortion_removal.training.batches import open_batches
from distortion_removal.training.checkpoint import Checkpoints
from distortion_removal.training.metric_writer import MetricWriter, StepTimer
from distortion_removal.training.start import Start, find_start
from distortion_removal.training.stop_signals import stop_signals
from distortion_removal.training.validation import validator


def train(
  config: ml_collections.ConfigDict,
  workdir: Path,
  *,
  skip_damaged: bool = False,
  traced: range = range(0),
) -> None:
  """Trains, or goes on training, the run that `config` describes.

  Args:
    config: the run's configuration, see configs/default.py.
    workdir: folder for config.json, checkpoints/, metrics.jsonl, tensorboard/,
      compiled/ and trace/. If it holds the same run already, training resumes
      from its last checkpoint and sees the batches that an uninterrupted run
      would have seen. Fields that may change take their new values.
    skip_damaged: resume from the checkpoint before the last if that is damaged.
    traced: steps whose profile is written, by the first process.

  Raises:
    UserError: the configuration cannot be trained, `workdir` holds another
      run, data or weights are missing or damaged, or the loss stopped being a
      number and `config.on_nan` does not skip that.
    SystemExit: a signal stopped the run, which is stored. Its status is 0 for
      SIGTERM, as machines send it, and 1 for SIGINT.
  """
  check_config.check(config)
  devices.local_batch_size(config.batch_size, config.accumulate)
  start = find_start(config, workdir, skip_damaged=skip_damaged)
  if start.is_finished:
    start.record(workdir)
    return
  config = start.config
  task = tasks.from_config(config.data)
  is_hybrid = models.takes_estimates(config)
  degrade = clipped_pairs.inputs if is_hybrid else pairs.degrader(task)
  model = models.from_config(config)
  dataset = opening.open_dataset(config.data)

  batches, held_out, labels = open_batches(config, dataset, start.step or 0)
  # Only now: a configuration that cannot be trained must not claim the folder.
  workdir.mkdir(parents=True, exist_ok=True)
  devices.keep_compiled(workdir)
  validate = validator(
    model,
    held_out,
    degrade=degrade,
    batch_size=config.batch_size,
    labels=labels,
  )
  checkpoints = Checkpoints(workdir)
  state = _state(start, checkpoints, model, dataset, task)
  start = start._replace(variables=None)  # Large, and perhaps on a device.
  writer = MetricWriter(
    workdir, after_step=start.step, is_main=devices.is_main_process()
  )
  make_step = functools.partial(_make_step, config, model, degrade)
  reopen = functools.partial(open_batches, config, dataset)
  read = functools.partial(_read, config, reopen, checkpoints, workdir)
  chosen = traced if devices.is_main_process() else range(0)
  trace = functools.partial(
    tracing.traced, chosen=chosen, folder=workdir / "trace"
  )
  with stop_signals() as received:
    try:
      if start.step is not None and start.changed:
        writer.changes(start.step, start.changed)
      start.record(workdir)
      if start.origin is not None:
        # Weights that training only makes worse stay the best.
        _validate(config, 0, state.ema, validate, checkpoints, writer)
      _loop(
        config,
        state,
        batches,
        make_step,
        read,
        validate,
        checkpoints,
        writer,
        received,
        trace,
      )
    finally:
      batches.close()
      checkpoints.close()
      writer.close()


def _state(
  start: Start, checkpoints: Checkpoints, *task: Any
) -> steps.TrainState:
  """Makes the state to start from, on all devices; see `_first_state`."""
  make = functools.partial(_first_state, start, *task)
  if start.step is None:
    return devices.replicate(make())
  # To compile `make` only for a state to read into would take seconds.
  shapes = jax.eval_shape(make)
  blank = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), shapes)
  return devices.replicate(checkpoints.restore_last(blank))


def _first_state(
  start: Start, model: nn.Module, dataset: Any, task: tasks.Task
) -> steps.TrainState:
  """Makes the state before training, scaled to the data if the network is."""
  config, statistics = start.config, None
  is_random = start.variables is None and start.step is None
  if is_random and hasattr(model, "scaled"):
    statistics = mixture_statistics(
      opening.open_sources(config.data, dataset),
      size=model.stft_size,
      hop=model.stft_hop,
      task=task,
    )
  return steps.create_state(config, model, statistics, start.variables)


def _make_step(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  degrade: Callable[[steps.Batch], jax.Array],
  objective: str,
) -> Callable:
  """Makes `steps.train_step` of all devices; it compiles when first called."""
  model = models.for_training(model, remat=config.remat)
  return devices.map_train(
    functools.partial(
      steps.train_step,
      degrade=degrade,
      objective=objectives.create(objective, model, config.loss),
      ema_decay=config.ema_decay,
      seed=config.seed,
      tolerated=bad_steps.TOLERATED[config.on_nan],
      parts=config.accumulate,
    )
  )


def _loop(
  config: ml_collections.ConfigDict,
  state: steps.TrainState,
  batches: Iterator[steps.Batch],
  make_step: Callable[[str], Callable],
  read: Callable[[steps.TrainState, Any], dict[str, float]],
  validate: Callable,
  checkpoints: Checkpoints,
  writer: MetricWriter,
  received: list[int],
  trace: Callable[[Iterator[int]], Iterator[int]],
) -> None:
  """Steps, logs, validates and stores until the last step or a signal."""
  first = int(state.step) + 1
  is_pretrained = first > config.pretrain_steps
  step = make_step(config.objective if is_pretrained else "autoencoder")
  timer = StepTimer(config.batch_size * config.data.segment_seconds)
  with _progress_bar(first, config.steps) as bar:
    for number in trace(bar):
      if config.pretrain_steps and number == config.pretrain_steps + 1:
        logger.info("pre-training is over after %d steps", number - 1)
        state = devices.replicate(steps.begin_stage(state))
        step = make_step(config.objective)
      started = time.perf_counter()
      batch = next(batches)
      timer.step(waited=time.perf_counter() - started)
      state, scalars = step(state, batch)
      last = number == config.steps
      stop = received or checkpoints.reached_preemption(number)
      save = last or stop or number % config.checkpoint_every == 0
      # In pre-training, the network restores nothing that could be scored.
      check = number > config.pretrain_steps and (
        last or number % config.validate_every == 0
      )
      log = last or number % config.log_every == 0
      if log or save or check:
        scalars = read(state, scalars)
      if log:
        writer.scalars(number, scalars | timer.read(config.steps - number))
      if check:
        _validate(config, number, state.ema, validate, checkpoints, writer)
      if save:
        writer.keep()
        checkpoints.save_last(number, state)
      if check or save:
        timer.restart()
      if stop and not last:
        checkpoints.close()
        # experiments/launch/restart.sh looks for this line.
        note(
          f"stopped at step {number} of {config.steps} as asked; the same "
          "command resumes"
        )
        # Ctrl-C also ends the commands that were to come next.
        raise SystemExit(int(signal.SIGINT in received))


def _progress_bar(first: int, last: int) -> tqdm:
  return tqdm(
    range(first, last + 1),
    desc="train",
    unit="step",
    initial=first - 1,
    total=last,
    disable=not sys.stderr.isatty(),
  )


def _read(
  config: ml_collections.ConfigDict,
  reopen: Callable[[int], tuple],
  checkpoints: Checkpoints,
  workdir: Path,
  state: steps.TrainState,
  scalars: dict[str, jax.Array],
) -> dict[str, float]:
  """Fetches a step's numbers; ends a run that takes no step any more."""
  values, guard = jax.device_get((scalars, state.guard))
  if bad_steps.is_over(guard, config.on_nan):
    batches, *_ = reopen(int(guard.step) - 1)
    try:
      batch = devices.join_batch(next(batches))
    finally:
      batches.close()
    bad_steps.stop(
      guard,
      batch=batch,
      blocks=bad_steps.block_names(state.params),
      learning_rate=steps.rate_of_next(state, config),
      on_nan=config.on_nan,
      workdir=workdir,
      stored_step=checkpoints.latest_step(),
    )
  found = {f"train/{key}": float(value) for key, value in values.items()}
  if config.on_nan == "skip":
    found["train/skipped_steps"] = int(guard.skipped)
  return found


def _validate(
  config: ml_collections.ConfigDict,
  step: int,
  variables: objectives.Variables,
  validate: Callable,
  checkpoints: Checkpoints,
  writer: MetricWriter,
) -> None:
  """Writes scores and examples, and stores the variables if they are best."""
  scores, sounds = validate(variables)
  writer.scalars(step, scores)
  for i in range(min(config.validation_examples, config.validation_pairs)):
    example = {name: audio[i] for name, audio in sounds.items()}
    writer.example(step, f"validation_{i}", example, config.data.sample_rate)
  # A score that is NaN is never the best.
  if scores["validation/si_sdr"] > checkpoints.best_score:
    checkpoints.save_best(step, variables, scores["validation/si_sdr"])
