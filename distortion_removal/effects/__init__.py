"""Distortion effects: pure functions of audio and a level, listed by name."""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distortion_removal.common import errors

if TYPE_CHECKING:
  import jax


@dataclasses.dataclass(frozen=True)
class Effect:
  """A distortion effect with one level.

  Attributes:
    function: `apply`, or its module and name in this package: importing JAX
      takes seconds, and most of what names an effect does not compute one.
    level_name: what the level is, as records name it.
    level_label: the same for people, as tables and axes name it.
    unit: the level's unit.
    label: the effect's name for people.
    takes_seed: whether it is `apply(audio, level, seed)`, with a uint32 of
      each item, scalar or `[batch]`, that all its draws come from.
  """

  function: str | Callable[..., "jax.Array"]
  level_name: str
  level_label: str
  unit: str
  label: str
  takes_seed: bool = False

  @functools.cached_property
  def apply(self) -> Callable[..., "jax.Array"]:
    """The effect, `apply(audio, level)` with its options by keyword.

    Audio is `[batch, time, channels]` and a level scalar or `[batch]`; the
    result is shaped as the audio.
    """
    if callable(self.function):
      return self.function
    module, name = self.function.split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)

  @property
  def options(self) -> dict[str, Any]:
    """What else `apply` takes, by keyword, and the defaults."""
    parameters = inspect.signature(self.apply).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _recorded(*_: object) -> None:
  raise ValueError("pairs that were recorded have their degraded audio already")


EFFECTS = {
  "overdrive": Effect(
    "overdrive.overdrive", "gain_db", "gain", "dB", "SoX overdrive"
  ),
  "hard_clip": Effect(
    "clipping.hard_clip", "gain_db", "gain", "dB", "hard clip"
  ),
  "hard_clip_sdr": Effect(
    "clipping.clip_to_sdr", "input_sdr_db", "input SDR", "dB", "hard clip"
  ),
  "tanh": Effect(
    "waveshaping.tanh_clip", "gain_db", "gain", "dB", "tanh soft clip"
  ),
  "arctan": Effect(
    "waveshaping.arctan_clip", "gain_db", "gain", "dB", "arctan soft clip"
  ),
  "diode": Effect(
    "waveshaping.diode_clip", "gain_db", "gain", "dB", "asymmetric diode clip"
  ),
  "foldback": Effect(
    "waveshaping.foldback", "gain_db", "gain", "dB", "wave folding"
  ),
  "bit_crush": Effect(
    "bit_crush.bit_crush", "bits", "resolution", "bit", "bit crush"
  ),
  "random_distortion": Effect(
    "random_distortion.random_distortion",
    "gain_db",
    "drive",
    "dB",
    "random distortion",
    takes_seed=True,
  ),
  # Of pairs from a real device, whose level nobody knows: it is always 0.
  "recorded": Effect(
    _recorded, "gain_db", "level", "dB", "recorded distortion"
  ),
}


def get(name: str) -> Effect:
  """Returns the effect called `name`.

  Raises:
    UserError: no effect has that name; the message lists those there are.
  """
  return errors.look_up(EFFECTS, "effect", name)


def apply(
  effect: Effect,
  audio: "jax.Array",
  level: "jax.Array | float",
  seed: "jax.Array | int",
) -> "jax.Array":
  """Applies an effect, whether or not it takes a seed.

  Args:
    effect: of `EFFECTS`; not "recorded", which raises ValueError.
    audio: `[batch, time, channels]`.
    level: scalar or `[batch]`.
    seed: uint32, scalar or `[batch]`.

  Returns:
    `[batch, time, channels]` float32.
  """
  if effect.takes_seed:
    return effect.apply(audio, level, seed)
  return effect.apply(audio, level)
