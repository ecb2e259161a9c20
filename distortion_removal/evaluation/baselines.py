"""Methods without training to compare networks with, listed by name.

A baseline is a function `(degraded, clean, *, task, sample_rate, **options)`
of two arrays `[batch, time, channels]` float32, the task whose effect made one
of the other, and a rate in Hz, to the estimate, an array of the same shape. An
oracle uses the clean signal, any other method ignores it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from distortion_removal import declipping
from distortion_removal.common.errors import look_up
from distortion_removal.effects.tasks import HARD_CLIPS, Task
from distortion_removal.evaluation.ideal_ratio_mask import ideal_ratio_mask
from distortion_removal.inference import blind, inversion


class Baseline(NamedTuple):
  """A method and the tasks it applies to.

  Attributes:
    function: the method.
    effects: names of the effects it undoes; None for any.
    options: options of those effects it can cope with, when they are set.
  """

  function: Callable[..., np.ndarray]
  effects: tuple[str, ...] | None = None
  options: tuple[str, ...] = ()

  def applies_to(self, task: Task) -> bool:
    """Checks whether the method undoes the task's effect."""
    if self.effects is None:
      return True
    is_filtered = task.options.before or task.options.after
    return (
      task.effect in self.effects
      and not is_filtered
      and all(name in self.options for name, _ in task.options.values)
    )


def at_clean_peak(restored: np.ndarray, task: Task) -> np.ndarray:
  """Brings excerpts to the peak that the task fixes, if it does.

  What undoes clipping is as loud as what went into the clip. Where that is the
  clean signal at an unknown gain, 20 to 50 dB, the peak is what is known of its
  level. As peaks are restored worst, the level is then some dB off, which
  affects SDR and PEAQ, but neither SI-SDR nor R_nonlin.
  """
  if task.clean_peak is not None:
    peak = np.abs(restored).max(axis=(1, 2), keepdims=True, initial=0.0)
    restored = restored * (task.clean_peak / np.where(peak, peak, 1.0))
  return np.asarray(restored, np.float32)


def _declip(name: str) -> Baseline:
  """Makes a baseline of a declipper, which is given the task's clip level."""

  def function(
    audio: np.ndarray,
    _: np.ndarray,
    *,
    task: Task,
    sample_rate: int,
    **options: Any,
  ) -> np.ndarray:
    del sample_rate
    # For `hard_clip`, which may let everything pass.
    clip_level = np.full(len(audio), dict(task.options.values).get("rail", 1.0))
    if task.effect == "hard_clip_sdr":
      # This effect always clips, at the peak. Silence takes any level.
      peak = np.abs(audio).max(axis=(1, 2), initial=0.0)
      clip_level = np.where(peak, peak, 1.0)
    restored, _ = declipping.declipper(name)(audio, clip_level, **options)
    return at_clean_peak(restored, task)

  return Baseline(function, HARD_CLIPS, ("rail",))


def _invert(
  audio: np.ndarray,
  _: np.ndarray,
  *,
  task: Task,
  sample_rate: int,
) -> np.ndarray:
  """Undoes the task's effect, whose settings it finds; else changes nothing."""
  choice = blind.Choice(task.effect)
  restored = np.array(audio, np.float32)
  for item in restored:
    found = [blind.find_in(channel, sample_rate, choice) for channel in item.T]
    blocks = inversion.undo(choice.chosen(found), [item.astype(np.float64)])
    item[:] = np.concatenate([*blocks])
  return restored


BASELINES: dict[str, Baseline] = {
  "inversion": Baseline(
    _invert, ("overdrive", "tanh", "arctan", "diode"), ("colour",)
  ),
  "ideal_ratio_mask": Baseline(
    lambda degraded, clean, **_: ideal_ratio_mask(degraded, clean)
  ),
} | {name: _declip(name) for name in declipping.DECLIPPERS}


def get(name: str) -> Baseline:
  """Returns the baseline called `name`; raises UserError if there is none."""
  return look_up(BASELINES, "baseline", name)
