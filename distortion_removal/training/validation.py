"""Scores weights on a fixed set of pairs while a run is trained."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import linen as nn

from distortion_removal.common import devices
from distortion_removal.metrics.si_sdr import si_sdr
from distortion_removal.training.objectives import Variables
from distortion_removal.training.steps import Batch

Sounds = dict[str, np.ndarray]


def validator(
  model: nn.Module,
  pairs: Sounds,
  *,
  degrade: Callable[[Batch], jax.Array],
  batch_size: int,
  labels: Sequence[str] = (),
) -> Callable[[Variables], tuple[dict[str, float], Sounds]]:
  """Makes a function from variables to mean scores in dB, and to sounds.

  Args:
    model: the network; its variables must be replicated.
    pairs: fixed pairs from `pairs.validation_batch`. The sounds are `degraded`,
      `estimate` and `clean`, shaped as their `clean`.
    degrade: function from a batch to its degraded side.
    batch_size: pairs that go through the devices at a time.
    labels: of the pairs, whose scores are also averaged by label.
  """
  clean = pairs["clean"]

  def restore(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
    degraded = degrade(batch)
    estimate = model.apply(variables, degraded)
    audio = degraded[..., : clean.shape[-1]]
    return {"degraded": audio, "estimate": estimate}

  step = devices.map_eval(restore)

  def validate(variables: Variables) -> tuple[dict[str, float], Sounds]:
    sounds = _in_slices(lambda part: step(variables, part), pairs, batch_size)
    before, after = (
      si_sdr(x, clean, sample_rate=model.sample_rate)
      for x in (sounds["degraded"], sounds["estimate"])
    )
    mean = _mean_of_defined(after)
    scores = {
      "validation/si_sdr": mean,
      "validation/si_sdr_improvement": mean - _mean_of_defined(before),
    }
    for label in dict.fromkeys(labels):
      chosen = after[np.array(labels) == label]
      scores[f"validation/si_sdr_{label}"] = _mean_of_defined(chosen)
    return scores, {**sounds, "clean": clean}

  return validate


def _in_slices(step: Callable, pairs: Sounds, batch_size: int) -> Sounds:
  """Runs the pairs through the devices, a slice of static size at a time."""
  count, local = len(pairs["level"]), jax.local_device_count()
  size = max(1, min(batch_size, count) // local) * local
  outputs = []
  for start in range(0, count, size):
    # The last slice is filled up with pairs from the start.
    index = np.arange(start, start + size) % count
    part = {key: value[index] for key, value in pairs.items()}
    outputs.append(devices.join_batch(step(devices.split_batch(part))))
  return jax.tree.map(lambda *x: np.concatenate(x)[:count], *outputs)


def _mean_of_defined(scores: np.ndarray) -> float:
  """Averages scores without the NaN of silent targets; NaN if all are."""
  defined = scores[~np.isnan(scores)]
  return float(np.mean(defined)) if defined.size else float("nan")
