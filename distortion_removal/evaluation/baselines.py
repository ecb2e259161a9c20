"""Methods without training that networks are held against, listed by name.

A baseline is a function `(degraded, clean, *, task, sample_rate, **options)`
to the estimate: two arrays `[batch, time, channels]` float32, the task whose
effect made one of the other and a rate in Hz to an array of the same shape. An
oracle uses the clean signal, any other method ignores it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from distortion_removal import declipping, metrics
from distortion_removal.common import errors
from distortion_removal.effects.tasks import Task
from distortion_removal.evaluation import ideal_ratio_mask


class Baseline(NamedTuple):
  """A method and the effects that it can undo; None for any effect.

  One that is made for some effects knows them as plain as they are by default,
  of their options only those of `options`.
  """

  function: Callable[..., jax.Array | np.ndarray]
  effects: tuple[str, ...] | None = None
  options: tuple[str, ...] = ()

  def applies_to(self, task: Task) -> bool:
    """Whether the method is made for what the task's effect does."""
    if self.effects is None:
      return True
    is_filtered = task.options.before or task.options.after
    return (
      task.effect in self.effects
      and not is_filtered
      and all(name in self.options for name in task.options.settings)
    )


def _ideal_ratio_mask(
  degraded: jax.Array, clean: jax.Array, *, task: Task, sample_rate: int
) -> jax.Array:
  """The paper's mask; its frames are 1024 samples at any rate."""
  del task, sample_rate
  return ideal_ratio_mask.ideal_ratio_mask(degraded, clean)


def _declip(name: str) -> Baseline:
  """A declipper as a baseline: it is told where the clipping tasks clip.

  What it restores is as loud as what went into the clip. Where that is the
  clean signal at a gain that nobody tells, 20 to 50 dB, the result is brought
  to the peak that the task fixes for every clean excerpt. Peaks being what is
  restored worst, that is some dB off: SDR and PEAQ of a declipper still hear
  it there; SI-SDR and R_nonlin do not.
  """

  def function(
    degraded: np.ndarray,
    clean: np.ndarray,
    *,
    task: Task,
    sample_rate: int,
    **options: Any,
  ) -> np.ndarray:
    del clean, sample_rate
    audio = np.asarray(degraded)
    # Of `hard_clip`, which may pass all.
    rail = np.full(len(audio), task.options.settings.get("rail", 1.0))
    if task.effect == "hard_clip_sdr":
      # It always clips, at the peak. Any level will do for silence.
      peak = np.abs(audio).max(axis=(1, 2), initial=0.0)
      rail = np.where(peak, peak, 1.0)
    restored, _ = declipping.declipper(name)(audio, rail, **options)
    if task.clean_peak is not None:
      peak = np.abs(restored).max(axis=(1, 2), keepdims=True, initial=0.0)
      restored = restored * (task.clean_peak / np.where(peak, peak, 1.0))
    return np.asarray(restored, np.float32)

  return Baseline(function, ("hard_clip", "hard_clip_sdr"), ("rail",))


BASELINES: dict[str, Baseline] = {
  "ideal_ratio_mask": Baseline(_ideal_ratio_mask)
} | {name: _declip(name) for name in declipping.DECLIPPERS}


def get(name: str) -> Baseline:
  """Returns the baseline called `name`.

  Raises:
    UserError: no baseline has that name; the message lists those there are.
  """
  return errors.look_up(BASELINES, "baseline", name)


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the fields of a configuration that only evaluation reads.

  Raises:
    UserError: a number or a name cannot work; the message tells which.
  """
  for field, least in (("evaluation_batch", 1), ("listen_excerpts", 0)):
    if not config[field] >= least:
      raise errors.UserError(
        f"config.{field} is {config[field]}; it must be {least} or more"
      )
  for name in config.metrics:
    metrics.get(name)
  for name in config.baselines:
    get(name)
    if name in declipping.DECLIPPERS:
      try:
        declipping.check_options(name, config.get(name, {}))
      except errors.UserError as error:
        raise errors.UserError(f"config.{name}: {error}") from None
