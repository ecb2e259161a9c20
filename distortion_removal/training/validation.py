"""Scores of a run's weights on a fixed set of pairs."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from distortion_removal import metrics
from distortion_removal.common import devices as parallel


def validate(
  variables: Any,
  *,
  batch: dict[str, np.ndarray],
  step: Callable[..., dict[str, jax.Array]],
  batch_size: int,
  sample_rate: int,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
  """Scores weights on a fixed set of pairs.

  Args:
    variables: replicated weights and what belongs to them.
    batch: from `pairs.validation_batch`: `clean` `[pairs, time, channels]`,
      `level` `[pairs]` and what else degrading needs.
    step: `steps.eval_step`, compiled over all devices.
    batch_size: how many pairs go through the devices at a time.
    sample_rate: Hz.

  Returns:
    Mean scores in dB by name, and `degraded`, `estimate` and `clean`, each
    `[pairs, time, channels]`.
  """
  outputs = _restore(variables, batch, step, batch_size)
  scores = {
    name: _mean_of_defined(
      metrics.get("si_sdr").function(
        audio, batch["clean"], sample_rate=sample_rate
      )
    )
    for name, audio in outputs.items()
  }
  return {
    "validation/si_sdr": scores["estimate"],
    "validation/si_sdr_improvement": scores["estimate"] - scores["degraded"],
  }, {**outputs, "clean": batch["clean"]}


def _restore(variables, batch, step, batch_size) -> dict[str, np.ndarray]:
  """Runs the set through the devices, a slice of static size at a time."""
  count, devices = len(batch["level"]), jax.local_device_count()
  size = max(1, min(batch_size, count) // devices) * devices
  outputs = []
  for start in range(0, count, size):
    # The last slice is filled up with pairs from the start.
    index = np.arange(start, start + size) % count
    part = {key: value[index] for key, value in batch.items()}
    outputs.append(
      parallel.join_batch(step(variables, parallel.split_batch(part)))
    )
  return jax.tree.map(lambda *x: np.concatenate(x)[:count], *outputs)


def _mean_of_defined(scores: np.ndarray) -> float:
  """Mean without the NaN that silent targets give; NaN if all are."""
  defined = scores[~np.isnan(scores)]
  return float(np.mean(defined)) if defined.size else float("nan")
