"""The pure parts of training: optimiser, state, and a step on a device."""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import ml_collections
import optax
from flax import linen as nn
from flax.training import train_state

from distortion_removal import losses, parallel
from distortion_removal.errors import UserError

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
  optimizer = create_optimizer(config)
  segment = round(config.data.segment_seconds * config.data.sample_rate)
  audio = jnp.zeros((1, segment, config.data.channels))
  params = jax.jit(model.init)(jax.random.key(config.seed), audio)["params"]
  return TrainState.create(
    apply_fn=model.apply,
    params=params,
    tx=optimizer,
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
