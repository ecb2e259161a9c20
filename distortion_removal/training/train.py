"""The training loop: data, steps, logs, validation and checkpoints."""

import functools
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

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import (
  augmentation,
  opening,
  pairs,
)
from distortion_removal.datasets.spectrum_statistics import mixture_statistics
from distortion_removal.effects import tasks
from distortion_removal.training import (
  check_config,
  checkpoint,
  objectives,
  steps,
)
from distortion_removal.training.metric_writer import MetricWriter, Stopwatch
from distortion_removal.training.stop_request import StopRequest
from distortion_removal.training.validation import validate


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Trains, or goes on training, the run that `config` describes.

  Args:
    config: see configs/default.py.
    workdir: gets config.json, checkpoints/, metrics.jsonl and tensorboard/. If
      it holds the same run already, training resumes from its last checkpoint
      and sees the batches that an uninterrupted run would have seen.

  Raises:
    UserError: the configuration cannot be trained, `workdir` holds another
      run, the data set is missing, or the loss stopped being a number.
  """
  check_config.check(config)
  task = tasks.from_config(config.data)
  degrade = pairs.degrader(task)
  model = models.from_config(config)
  step = _training_step(config, model, degrade)
  dataset = opening.open_dataset(config.data)
  _check_same_run(config, workdir)

  batches, held_out = _batches(config, dataset, task)
  score = _scoring(config, model, degrade, held_out)
  state = _first_state(config, model, dataset, task)
  checkpoints = checkpoint.Checkpoints(workdir)
  if checkpoints.are_imported():
    raise UserError(
      f"{workdir} holds imported weights, which cannot be trained on; choose "
      "another --workdir"
    )
  if checkpoints.latest_step() is not None:
    state = checkpoints.restore_last(state, batches)
    logger.info("resuming after step %d of %d", state.step, config.steps)
  state = devices.replicate(state)
  # Only now: a configuration that cannot be trained must not claim the folder.
  if devices.is_main_process() and not run_config.exists(workdir):
    run_config.save(config, workdir)
  writer = MetricWriter(
    workdir,
    after_step=int(state.step),
    enabled=devices.is_main_process(),
  )
  try:
    with StopRequest() as request:
      _loop(config, state, step, batches, score, checkpoints, writer, request)
  finally:
    batches.close()
    checkpoints.close()
    writer.close()


def _training_step(
  config: ml_collections.ConfigDict, model: nn.Module, degrade: Callable
) -> Callable:
  """The compiled step `(state, batch, number)`, of the stage `number` is in."""
  model = models.over_devices(model)

  def compiled(objective: str) -> Callable:
    return devices.map_train(
      functools.partial(
        steps.train_step,
        degrade=degrade,
        objective=objectives.get(objective, model, config.loss),
        ema_decay=config.ema_decay,
        seed=config.seed,
      )
    )

  supervised = compiled(config.objective)
  if not config.pretrain_steps:
    return lambda state, batch, number: supervised(state, batch)
  unsupervised = compiled("autoencoder")

  def step(state, batch, number):
    if number <= config.pretrain_steps:
      return unsupervised(state, batch)
    if number == config.pretrain_steps + 1:
      logger.info("pre-training is over after %d steps", number - 1)
      state = devices.replicate(steps.begin_stage(state))
    return supervised(state, batch)

  return step


def _first_state(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  dataset: Any,
  task: tasks.Task,
) -> steps.TrainState:
  """The state before training, scaled by the data if the network is."""
  statistics = None
  if hasattr(model, "scaled"):
    statistics = mixture_statistics(
      opening.open_sources(config.data, dataset),
      size=model.stft_size,
      hop=model.stft_hop,
      task=task,
    )
  return steps.create_state(config, model, statistics)


def _scoring(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  degrade: Callable,
  held_out: dict[str, np.ndarray],
) -> Callable:
  """The function of variables to their scores and examples."""
  restore = functools.partial(
    steps.eval_step, degrade=degrade, apply_fn=model.apply
  )
  return functools.partial(
    validate,
    batch=held_out,
    step=devices.map_eval(restore),
    batch_size=config.batch_size,
    sample_rate=config.data.sample_rate,
  )


def _batches(
  config: ml_collections.ConfigDict, dataset: Any, task: tasks.Task
) -> tuple[Iterator[steps.Batch], dict[str, np.ndarray]]:
  """The stream of training batches, and the fixed validation pairs."""
  segment = round(config.data.segment_seconds * config.data.sample_rate)
  batches = pairs.training_batches(
    opening.training_source(config.data, dataset),
    task,
    segment=segment,
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
    options=augmentation.from_config(config.data),
  )
  held_out = pairs.validation_batch(
    opening.read_split(dataset, "valid"),
    task,
    segment=segment,
    pairs=config.validation_pairs,
  )
  return batches, held_out


def _check_same_run(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Makes the folder; if there is a run in it, it must be the very same."""
  workdir.mkdir(parents=True, exist_ok=True)
  if not run_config.exists(workdir):
    return
  changed = run_config.differences(
    check_config.load(workdir), config, ignored=run_config.EVALUATION_FIELDS
  )
  if changed:
    raise UserError(
      f"{workdir} holds a run with another configuration "
      f"({'; '.join(changed)}); choose another --workdir, or give the "
      "configuration of the run to resume it"
    )


def _loop(
  config: ml_collections.ConfigDict,
  state: steps.TrainState,
  step: Callable,
  batches: Iterator[steps.Batch],
  score: Callable,
  checkpoints: checkpoint.Checkpoints,
  writer: MetricWriter,
  request: StopRequest,
) -> None:
  """Steps, logs, validates and stores until the last step or a signal."""
  stored = checkpoints.best_score()
  best = -np.inf if stored is None else stored
  watch = Stopwatch()
  first = int(state.step) + 1
  for number in tqdm(
    range(first, config.steps + 1),
    desc="train",
    unit="step",
    initial=first - 1,
    total=config.steps,
    disable=not sys.stderr.isatty(),
  ):
    started = time.perf_counter()
    batch = next(batches)
    watch.step(waited=time.perf_counter() - started)
    state, scalars = step(state, batch, number)

    last = number == config.steps
    stop = request.signal or checkpoints.reached_preemption(number)
    save = last or stop or number % config.checkpoint_every == 0
    # While a network is pre-trained, it restores nothing that could be scored.
    check = number > config.pretrain_steps and (
      last or number % config.validate_every == 0
    )
    if number % config.log_every == 0 or save or check:
      scalars = _check_finite(jax.device_get(scalars), number, checkpoints)
    if number % config.log_every == 0 or last:
      writer.scalars(number, scalars | _speed(config, number, watch))
    if check:
      scores, examples = score(state.ema)
      writer.scalars(number, scores)
      _write_examples(config, number, examples, writer)
      if scores["validation/si_sdr"] > best:
        best = scores["validation/si_sdr"]
        checkpoints.save_best(number, state.ema, best)
    if save:
      checkpoints.save_last(number, state, batches)
    if check or save:
      watch.restart()
    if stop:
      checkpoints.close()
      raise SystemExit(
        f"stopped at step {number} of {config.steps} as asked; the same "
        "command resumes"
      )


def _check_finite(
  scalars: dict[str, np.ndarray], step: int, checkpoints: checkpoint.Checkpoints
) -> dict[str, float]:
  """Ends the run before weights that are not numbers can be stored."""
  if all(np.isfinite(value) for value in scalars.values()):
    return {f"train/{key}": float(value) for key, value in scalars.items()}
  stored = checkpoints.latest_step()
  kept = "none is stored yet" if stored is None else f"step {stored} is stored"
  raise UserError(
    f"the loss or its gradient is not a number at step {step} ({kept}); lower "
    "config.optimizer.learning_rate or config.optimizer.gradient_clip_norm, "
    "in another --workdir"
  )


def _speed(
  config: ml_collections.ConfigDict, step: int, watch: Stopwatch
) -> dict[str, float]:
  steps_per_second, waiting = watch.read()
  seconds = config.batch_size * config.data.segment_seconds
  return {
    "speed/steps_per_second": steps_per_second,
    "speed/audio_seconds_per_second": steps_per_second * seconds,
    "speed/data_wait_share": waiting,
    "speed/eta_minutes": (config.steps - step) / steps_per_second / 60.0,
  }


def _write_examples(
  config: ml_collections.ConfigDict,
  step: int,
  examples: dict[str, np.ndarray],
  writer: MetricWriter,
) -> None:
  for i in range(min(config.validation_examples, config.validation_pairs)):
    sounds = {name: audio[i] for name, audio in examples.items()}
    writer.example(step, f"validation_{i}", sounds, config.data.sample_rate)
