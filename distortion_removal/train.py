"""Training: pure steps, and the loop that feeds them."""

import functools
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from flax import linen as nn
from flax.training import train_state
from tqdm import tqdm

from distortion_removal import (
  checkpoint,
  datasets,
  effects,
  losses,
  metrics,
  models,
  parallel,
)
from distortion_removal import (
  config as run_config,
)
from distortion_removal.datasets import pairs, tasks
from distortion_removal.errors import UserError
from distortion_removal.log import logger
from distortion_removal.metric_writer import MetricWriter, Stopwatch

Batch = dict[str, jax.Array]


class TrainState(train_state.TrainState):
  """Step, parameters and optimiser state, and averaged parameters."""

  ema_params: flax.core.FrozenDict[str, Any]


def create_optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  """Adam with linear warm-up, cosine decay, clipping and weight decay.

  Raises:
    UserError: the warm-up leaves no step to decay in.
  """
  options = config.optimizer
  if config.steps <= options.warmup_steps:
    raise UserError(
      f"config.steps {config.steps} must be more than "
      f"config.optimizer.warmup_steps {options.warmup_steps}"
    )
  schedule = optax.warmup_cosine_decay_schedule(
    init_value=0.0,
    peak_value=options.learning_rate,
    warmup_steps=options.warmup_steps,
    decay_steps=config.steps,
    end_value=options.final_learning_rate,
  )
  clip = (
    optax.clip_by_global_norm(options.gradient_clip_norm)
    if options.gradient_clip_norm
    else optax.identity()
  )
  return optax.chain(
    clip,
    optax.adamw(
      schedule, options.b1, options.b2, weight_decay=options.weight_decay
    ),
  )


def create_state(
  config: ml_collections.ConfigDict, model: nn.Module
) -> TrainState:
  """The state before the first step, a function of `config.seed`."""
  segment = round(config.data.segment_seconds * config.data.sample_rate)
  audio = jnp.zeros((1, segment, config.data.channels))
  params = jax.jit(model.init)(jax.random.key(config.seed), audio)["params"]
  return TrainState.create(
    apply_fn=model.apply,
    params=params,
    tx=create_optimizer(config),
    ema_params=jax.tree.map(jnp.copy, params),
  )


def train_step(
  state: TrainState,
  batch: Batch,
  *,
  degrade: Callable[[jax.Array, jax.Array], jax.Array],
  loss: losses.Loss,
  ema_decay: float,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """One optimiser step on one device's share of a batch.

  Args:
    state: replicated.
    batch: `clean` `[batch, time, channels]` and `level` `[batch]`.
    degrade: the effect, `(clean, level)` to degraded.
    loss: `(estimate, clean)` to a scalar.
    ema_decay: of the averaged parameters, per step. Early steps forget
      faster, (1 + step) / (10 + step), so that the average soon leaves the
      initial weights behind.

  Returns:
    The new state, and the scalars `loss` and `gradient_norm`.
  """
  degraded = degrade(batch["clean"], batch["level"])

  def compute_loss(params: Any) -> jax.Array:
    return loss(state.apply_fn({"params": params}, degraded), batch["clean"])

  value, gradients = jax.value_and_grad(compute_loss)(state.params)
  value, gradients = jax.lax.pmean((value, gradients), parallel.AXIS)
  state = state.apply_gradients(grads=gradients)
  decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
  averaged = optax.incremental_update(
    state.params, state.ema_params, 1.0 - decay
  )
  norm = optax.tree.norm(gradients)
  return (
    state.replace(ema_params=averaged),
    {"loss": value, "gradient_norm": norm},
  )


def eval_step(
  params: Any,
  batch: Batch,
  *,
  degrade: Callable[[jax.Array, jax.Array], jax.Array],
  apply_fn: Callable[..., jax.Array],
) -> dict[str, jax.Array]:
  """Degrades and restores one device's share of a batch."""
  degraded = degrade(batch["clean"], batch["level"])
  return {
    "degraded": degraded,
    "estimate": apply_fn({"params": params}, degraded),
  }


class Validation:
  """Scores weights on a fixed set of pairs."""

  def __init__(self, config: ml_collections.ConfigDict, batch: dict, step):
    self._config, self._step, self._batch = config, step, batch

  def __call__(self, params: Any) -> tuple[dict[str, float], dict]:
    """Returns mean scores in dB, and the pairs with their estimates."""
    outputs = self._restore(params)
    rate = self._config.data.sample_rate
    score = functools.partial(
      metrics.get("si_sdr").function,
      target=self._batch["clean"],
      sample_rate=rate,
    )
    estimate = np.nanmean(score(outputs["estimate"]))
    degraded = np.nanmean(score(outputs["degraded"]))
    scores = {
      "validation/si_sdr": float(estimate),
      "validation/si_sdr_improvement": float(estimate - degraded),
    }
    return scores, {**outputs, "clean": self._batch["clean"]}

  def _restore(self, params: Any) -> dict[str, np.ndarray]:
    """Runs the set through the devices, a slice of static size at a time."""
    count = len(self._batch["level"])
    devices = jax.local_device_count()
    size = min(self._config.batch_size, count)
    size = max(1, size // devices) * devices
    outputs = []
    for start in range(0, count, size):
      index = np.arange(start, start + size) % count
      part = {key: value[index] for key, value in self._batch.items()}
      result = self._step(params, parallel.split_batch(part))
      outputs.append(
        jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), result)
      )
    joined = jax.tree.map(lambda *x: np.concatenate(x)[:count], *outputs)
    return joined


def train(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Trains, or goes on training, the run that `config` describes.

  Args:
    config: see configs/default.py.
    workdir: gets config.json, checkpoints/, metrics.jsonl and tensorboard/. If
      it holds the same run already, training resumes from its last checkpoint
      and sees the batches that an uninterrupted run would have seen.

  Raises:
    UserError: `workdir` holds another run, the data set is missing, or the
      loss stopped being a number.
  """
  task = tasks.get(config.data.task)
  degrade = effects.get(task.effect).apply
  loss = losses.get(config.loss)
  model = models.from_config(config)
  dataset = datasets.open_dataset(config.data)
  _open_workdir(config, workdir)

  segment = round(config.data.segment_seconds * config.data.sample_rate)
  batches = pairs.training_batches(
    datasets.read_split(dataset, "train"),
    task,
    segment=segment,
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
  )
  held_out = pairs.validation_batch(
    datasets.read_split(dataset, "valid"),
    task,
    segment=segment,
    pairs=config.validation_pairs,
  )
  restore = functools.partial(eval_step, degrade=degrade, apply_fn=model.apply)
  validation = Validation(config, held_out, parallel.map_eval(restore))
  step = functools.partial(
    train_step, degrade=degrade, loss=loss, ema_decay=config.ema_decay
  )

  checkpoints = checkpoint.Checkpoints(workdir)
  state = create_state(config, model)
  if checkpoints.latest_step() is not None:
    state = checkpoints.restore_last(state, batches)
    logger.info("resuming after step %d of %d", state.step, config.steps)
  state = parallel.replicate(state)
  writer = MetricWriter(workdir, enabled=parallel.is_main_process())
  try:
    _loop(
      config,
      state,
      parallel.map_train(step),
      batches,
      validation,
      checkpoints,
      writer,
    )
  finally:
    batches.close()
    checkpoints.close()
    writer.close()


def _open_workdir(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Makes the folder, or checks that it holds the very same run."""
  workdir.mkdir(parents=True, exist_ok=True)
  if not run_config.exists(workdir):
    if parallel.is_main_process():
      run_config.save(config, workdir)
    return
  changed = run_config.differences(run_config.load(workdir), config)
  if changed:
    raise UserError(
      f"{workdir} holds a run with another configuration "
      f"({'; '.join(changed)}); choose another --workdir, or give the "
      "configuration of the run to resume it"
    )


def _loop(
  config: ml_collections.ConfigDict,
  state: TrainState,
  step: Callable,
  batches: Iterator[Batch],
  validation: Validation,
  checkpoints: checkpoint.Checkpoints,
  writer: MetricWriter,
) -> None:
  """Steps, logs, validates and stores until the last step or a signal."""
  best = checkpoints.best_score()
  request = _StopRequest()
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
    watch.waiting(time.perf_counter() - started)
    state, scalars = step(state, batch)

    last = number == config.steps
    stop = request.signal or checkpoints.reached_preemption(number)
    save = last or stop or number % config.checkpoint_every == 0
    validate = last or number % config.validate_every == 0
    if number % config.log_every == 0 or save or validate:
      scalars = _check_finite(jax.device_get(scalars), number, checkpoints)
    if number % config.log_every == 0 or last:
      steps = min(config.log_every, number - first + 1)
      writer.scalars(number, scalars | _speed(config, number, watch, steps))
    if validate:
      scores, examples = validation(state.ema_params)
      writer.scalars(number, scores)
      _write_examples(config, number, examples, writer)
      if best is None or scores["validation/si_sdr"] > best:
        best = scores["validation/si_sdr"]
        checkpoints.save_best(number, state, best)
    if save:
      checkpoints.save_last(number, state, batches)
      watch.read(1)
    if stop:
      checkpoints.close()
      raise SystemExit(
        f"stopped at step {number} of {config.steps} as asked; the same "
        "command resumes"
      )


class _StopRequest:
  """Set by SIGTERM or SIGINT, so that a run stops between steps, stored.

  With `jax.distributed`, JAX catches SIGTERM itself and has all processes
  stop at the same step (`Checkpoints.reached_preemption`).
  """

  def __init__(self):
    self.signal = None
    if jax.process_count() == 1:
      for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, self._set)

  def _set(self, kind: int, _: Any) -> None:
    if self.signal is not None:
      raise KeyboardInterrupt  # Asked twice: now.
    self.signal = kind


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
    "config.optimizer.learning_rate or config.optimizer.gradient_clip_norm"
  )


def _speed(
  config: ml_collections.ConfigDict, step: int, watch: Stopwatch, steps: int
) -> dict[str, float]:
  steps_per_second, waiting = watch.read(steps)
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
