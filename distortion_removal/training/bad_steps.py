"""Steps whose numbers are not finite: undone on the device, told on the host.

A loss, a gradient or a batch statistic that is NaN or infinite would spoil all
weights for good. The step itself sees it and leaves the state as it was, and
counts in `Guard`, which stays on the devices: the host reads it where it reads
the loss anyway, every `log_every` steps. Until then a run that has to stop
takes no step any more, so nothing is lost and nothing is waited for.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import replacing
from distortion_removal.common.log import logger

# What config.on_nan may be, with the bad steps in a row that are put up with.
TOLERATED = {"stop": 0, "skip": 10}


class Guard(NamedTuple):
  """Bad steps of a run so far, and the last one's numbers.

  Attributes:
    skipped: their number.
    in_a_row: those up to now without a good one between.
    step: the number of the last one.
    loss: its loss.
    gradient_norms: L2 norms of its gradient, one for each block of the network
      in the order of `block_names`.
  """

  skipped: jax.Array
  in_a_row: jax.Array
  step: jax.Array
  loss: jax.Array
  gradient_norms: jax.Array


def block_names(params: Any) -> list[str]:
  """Lists a network's blocks: its outermost layers."""
  return sorted(params)


def no_bad_steps(params: Any) -> Guard:
  """Makes the guard of a run that has not begun."""
  none = np.zeros((), np.int32)
  norms = np.zeros(len(block_names(params)), np.float32)
  return Guard(none, none, none, np.zeros((), np.float32), norms)


def gradient_norms(gradients: Any) -> jax.Array:
  """Returns the L2 norm of each block's gradient."""
  names = block_names(gradients)
  return jnp.stack([optax.tree.norm(gradients[name]) for name in names])


def judge(
  guard: Guard,
  *,
  step: jax.Array,
  loss: jax.Array,
  norms: jax.Array,
  statistics: Any,
  tolerated: int,
) -> tuple[jax.Array, Guard]:
  """Decides on the device whether a step counts.

  Args:
    guard: the guard before it.
    step: its number.
    loss: its loss.
    norms: its `gradient_norms`.
    statistics: what else it would change, such as batch statistics.
    tolerated: bad steps in a row before no further one counts.

  Returns:
    Whether it counts, and the new guard.
  """
  parts = [loss, norms, *jax.tree.leaves(statistics)]
  is_finite = jnp.all(jnp.stack([jnp.isfinite(x).all() for x in parts]))
  is_over = guard.in_a_row > tolerated
  bad = Guard(guard.skipped + 1, guard.in_a_row + 1, step, loss, norms)
  good = guard._replace(in_a_row=jnp.zeros_like(guard.in_a_row))
  after = choose(is_finite, good, bad)
  return is_finite & ~is_over, choose(~is_over, after, guard)


def choose(condition: jax.Array, first: Any, second: Any) -> Any:
  """Returns one of two trees, chosen on the device."""
  return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def is_over(guard: Guard, on_nan: str) -> bool:
  """Returns on the host whether the run takes no step any more."""
  return bool(guard.in_a_row > TOLERATED[on_nan])


def stop(
  guard: Guard,
  *,
  batch: dict[str, np.ndarray],
  blocks: list[str],
  learning_rate: float,
  on_nan: str,
  workdir: Path,
  stored_step: int | None,
) -> NoReturn:
  """Ends a run after a bad step, and saves its batch.

  Args:
    guard: the guard, on the host.
    batch: this process's share of the last bad step's batch.
    blocks: the names of the network's blocks.
    learning_rate: the rate of that step.
    on_nan: the run's `config.on_nan`.
    workdir: its folder; there the batch goes.
    stored_step: the last step in a checkpoint, or None.

  Raises:
    UserError: always, with the numbers and the place of the batch.
  """
  step = int(guard.step)
  norms = dict(zip(blocks, map(float, guard.gradient_norms), strict=True))
  text = "  ".join(f"{name} {norm:.4g}" for name, norm in norms.items())
  logger.error("step %d  gradient norms: %s", step, text)
  facts = {
    "step": str(step),
    "loss": str(float(guard.loss)),
    "learning_rate": str(learning_rate),
    # JSON has no NaN.
    "gradient_norms": json.dumps({k: str(v) for k, v in norms.items()}),
  }
  path = _save(workdir, step, batch, facts)
  last = ""
  if guard.in_a_row > 1:
    last = f", as at {int(guard.in_a_row) - 1} steps before it"
  kept = "nothing" if stored_step is None else f"step {stored_step}"
  raise UserError(
    f"the loss or its gradient is not a number at step {step}{last} ({kept} is "
    f"stored): loss {float(guard.loss):.4g}, learning rate "
    f"{learning_rate:.3g}, gradient {_describe(norms)}; {path} holds the "
    f"batch, {_describe_batch(batch)}; {_remedy(batch, on_nan)}"
  )


def _save(
  workdir: Path, step: int, batch: dict[str, np.ndarray], facts: dict[str, str]
) -> Path:
  """Writes this process's share of a batch, and the facts of its step."""
  rank, processes = devices.process()
  share = f"_process_{rank}" if processes > 1 else ""
  path = workdir / f"bad_batch_step_{step}{share}.safetensors"
  tensors = {key: np.ascontiguousarray(x) for key, x in batch.items()}
  with replacing(path) as partial:
    safetensors.numpy.save_file(tensors, partial, facts)
  return path


def _describe(norms: dict[str, float]) -> str:
  """Says where a gradient is bad, or largest."""
  bad = [name for name, norm in norms.items() if not np.isfinite(norm)]
  if len(bad) == len(norms):
    return "not finite in any block"
  if bad:
    return f"not finite in {', '.join(bad)}"
  name = max(norms, key=norms.get)
  return f"largest in {name} ({norms[name]:.4g})"


def _spoilt(batch: dict[str, np.ndarray]) -> list[str]:
  return [key for key, x in batch.items() if not np.isfinite(x).all()]


def _describe_batch(batch: dict[str, np.ndarray]) -> str:
  if spoilt := _spoilt(batch):
    return f"whose {' and '.join(spoilt)} is not finite"
  return f"which is finite and peaks at {np.abs(batch['clean']).max():.3g}"


def _remedy(batch: dict[str, np.ndarray], on_nan: str) -> str:
  skip = "--config.on_nan=skip goes past it; or " if on_nan == "stop" else ""
  if _spoilt(batch):
    return f"{skip}prepare the data again, in another folder"
  return (
    f"{skip}lower config.optimizer.learning_rate or "
    "config.optimizer.gradient_clip_norm, in another --workdir"
  )
