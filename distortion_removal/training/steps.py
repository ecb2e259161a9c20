"""The pure parts of training: optimiser, state, and one step on a device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from flax import linen as nn
from flax.training import train_state

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.training import bad_steps
from distortion_removal.training.objectives import Objective, Variables

Batch = dict[str, jax.Array]
Statistics = tuple[np.ndarray, np.ndarray]


class TrainState(train_state.TrainState):
  """Step, parameters and optimiser state, and the average to evaluate.

  Attributes:
    model_state: the collections other than `params` (batch statistics).
    ema: exponential moving average of all its collections.
    guard: the steps that did not count, see `bad_steps`.
  """

  model_state: Variables
  ema: Variables
  guard: bad_steps.Guard

  @property
  def variables(self) -> Variables:
    """All collections of the network after the last step."""
    return {"params": self.params, **self.model_state}


def learning_rates(config: ml_collections.ConfigDict) -> optax.Schedule:
  """Makes the schedule of the learning rate: linear warm-up, half a cosine.

  Pre-training begins the same schedule and breaks it off. Equal rates at the
  start and the end of the cosine make it constant.

  Raises:
    UserError: the warm-up leaves no step to decay in.
  """
  options = config.optimizer
  decay_steps = config.steps - config.pretrain_steps
  if decay_steps <= options.warmup_steps:
    raise UserError(
      f"config.steps {config.steps} must be more than "
      f"config.optimizer.warmup_steps {options.warmup_steps} and "
      f"config.pretrain_steps {config.pretrain_steps} together"
    )
  return optax.warmup_cosine_decay_schedule(
    init_value=0.0,
    peak_value=options.learning_rate,
    warmup_steps=options.warmup_steps,
    decay_steps=decay_steps,
    end_value=options.final_learning_rate,
  )


def create_optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  """Makes Adam with the schedule, gradient clipping and weight decay."""
  options = config.optimizer
  clip = (
    optax.clip_by_global_norm(options.gradient_clip_norm)
    if options.gradient_clip_norm
    else optax.identity()
  )
  return optax.chain(
    clip,
    optax.adamw(
      learning_rates(config),
      options.b1,
      options.b2,
      weight_decay=options.weight_decay,
    ),
  )


def create_state(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  statistics: Statistics | None = None,
  variables: Variables | None = None,
) -> TrainState:
  """Makes the state before the first step.

  Args:
    config: the run's configuration.
    model: its network.
    statistics: mean and deviation of the degraded spectrogram per bin, for
      networks that scale their input.
    variables: the network's collections; None: from `config.seed`.
  """
  optimizer = create_optimizer(config)
  if variables is None:
    segment = round(config.data.segment_seconds * config.data.sample_rate)
    channels = getattr(model, "input_channels", config.data.channels)
    audio = jnp.zeros((1, segment, channels))
    variables = jax.jit(model.init)(jax.random.key(config.seed), audio)
  model_state = dict(variables)
  params = model_state.pop("params")
  if statistics is not None:
    params = model.scaled(params, *statistics)
  return TrainState.create(
    apply_fn=model.apply,
    params=params,
    tx=optimizer,
    model_state=model_state,
    ema=jax.tree.map(jnp.copy, {"params": params, **model_state}),
    guard=bad_steps.no_bad_steps(params),
  )


def begin_stage(state: TrainState) -> TrainState:
  """Restarts the optimiser, its schedule, and the average."""
  return state.replace(
    opt_state=state.tx.init(state.params),
    ema=jax.tree.map(jnp.copy, state.variables),
  )


def train_step(
  state: TrainState,
  batch: Batch,
  *,
  degrade: Callable[[Batch], jax.Array],
  objective: Objective,
  ema_decay: float,
  seed: int,
  tolerated: int = 0,
  parts: int = 1,
) -> tuple[TrainState, dict[str, jax.Array]]:
  """Takes one optimiser step on one device's share of a batch.

  One that is bad, see `bad_steps`, changes nothing but the step's number.

  Args:
    state: the state, replicated.
    batch: `clean` `[batch, time, channels]` and the inputs of `degrade`, such
      as `level` and `seed` `[batch]`.
    degrade: function from a batch to its degraded side `[batch, time,
      channels]`, see `pairs.degrader`.
    objective: loss of a network, see `objectives`.
    ema_decay: decay of the average per step. Early steps decay faster, by
      (1 + step) / (10 + step), so that the average soon leaves the initial
      weights behind.
    seed: seed of dropout, which differs by step, device and part.
    tolerated: bad steps in a row before no further one is taken.
    parts: parts of the share that are worked on one after the other; their
      gradients are averaged. Batch statistics are those of each part.

  Returns:
    The new state, and the scalars `loss` and `gradient_norm`.
  """
  key = jax.random.fold_in(jax.random.key(seed), state.step)
  key = jax.random.fold_in(key, jax.lax.axis_index(devices.AXIS))

  def differentiate(part: Batch, key: jax.Array) -> tuple:
    degraded = degrade(part)

    def compute_loss(params: Any) -> tuple[jax.Array, Variables]:
      variables = {"params": params, **state.model_state}
      return objective(variables, degraded, part["clean"], key)

    return jax.value_and_grad(compute_loss, has_aux=True)(state.params)

  found = _mean_of_parts(differentiate, batch, key, parts)
  (value, model_state), gradients = jax.lax.pmean(found, devices.AXIS)
  updated = state.apply_gradients(grads=gradients, model_state=model_state)
  norms = bad_steps.gradient_norms(gradients)
  counts, guard = bad_steps.judge(
    state.guard,
    step=updated.step,
    loss=value,
    norms=norms,
    statistics=model_state,
    tolerated=tolerated,
  )
  # The step is the place in the data, which goes on.
  unchanged = state.replace(step=updated.step)
  updated = bad_steps.choose(counts, updated, unchanged)
  decay = jnp.minimum(ema_decay, (1.0 + updated.step) / (10.0 + updated.step))
  averaged = optax.incremental_update(
    updated.variables, state.ema, jnp.where(counts, 1.0 - decay, 0.0)
  )
  return (
    updated.replace(ema=averaged, guard=guard),
    {"loss": value, "gradient_norm": jnp.linalg.norm(norms)},
  )


def _mean_of_parts(
  function: Callable[[Batch, jax.Array], Any],
  batch: Batch,
  key: jax.Array,
  parts: int,
) -> Any:
  """Averages a function of a batch and a key over parts, one at a time."""
  if parts == 1:
    return function(batch, key)
  batch = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)
  keys = jax.random.split(key, parts)

  def add(total: Any, part: tuple[Batch, jax.Array]) -> tuple[Any, None]:
    return jax.tree.map(jnp.add, total, function(*part)), None

  first = jax.tree.map(lambda x: x[0], batch)
  shapes = jax.eval_shape(function, first, key)
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  total, _ = jax.lax.scan(add, zeros, (batch, keys))
  return jax.tree.map(lambda x: x / parts, total)


def rate_of_next(state: TrainState, config: ml_collections.ConfigDict) -> float:
  """Returns the learning rate of the step after `state`, on the host."""
  # Both Adam and its schedule count the updates since the stage began.
  (_, count), *_ = optax.tree.get_all_with_path(state.opt_state, "count")
  return float(learning_rates(config)(int(count)))
