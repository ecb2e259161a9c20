"""Distortion effects: pure functions of audio and a level, listed by name.

An effect maps audio `[batch, time, channels]` (1.0 is full scale) and a level,
scalar or `[batch]`, to float32 audio of the same shape. Options are keyword
arguments; `oversample` says at how many times the sample rate a curve works,
see `oversampling`. Effects can be traced by `jit` and `vmap`, and
differentiated.

A new effect is a function in a module of this package, an entry in `EFFECTS`
and one in `tasks.TASKS`.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from distortion_removal.common.errors import look_up

if TYPE_CHECKING:
  import jax


class Option(NamedTuple):
  """An option of an effect, set by the field `config.data.effect.NAME`.

  Attributes:
    name: the keyword that the effect's function takes.
    allows: tells whether a number may be given.
    allowed: the numbers that may be given, in words.
    type: the type of each number.
    count: the length of the tuple that the option is, or 1 for a plain number.
  """

  name: str
  allows: Callable[[float], bool]
  allowed: str
  type: Callable[[float], float] = float
  count: int = 1


@dataclasses.dataclass(frozen=True)
class Effect:
  """A distortion effect with one level.

  Attributes:
    function: `apply`, or its module and name in this package: importing JAX
      takes seconds, and most users of an effect's name do not compute it.
    label: the effect's name in tables and plots.
    options: the keyword arguments of `apply`.
    level_name: the level's name in records.
    level_label: the level's name in tables and on axes.
    unit: the level's unit.
    takes_seed: whether it is `apply(audio, level, seed)`. All draws of an item
      come from its seed, uint32, scalar or `[batch]`.
  """

  function: str | Callable[..., "jax.Array"]
  label: str
  options: tuple[Option, ...] = ()
  level_name: str = "gain_db"
  level_label: str = "gain"
  unit: str = "dB"
  takes_seed: bool = False

  @functools.cached_property
  def apply(self) -> Callable[..., "jax.Array"]:
    """The effect, `apply(audio, level)` with its options by keyword."""
    if callable(self.function):
      return self.function
    module, name = self.function.split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def _recorded(*_: object) -> None:
  raise ValueError("recorded pairs have their degraded audio already")


_OVERSAMPLE = Option(
  "oversample", lambda x: x in (1, 2, 4, 8), "1, 2, 4 or 8", int
)

EFFECTS = {
  "overdrive": Effect(
    "overdrive.overdrive",
    "SoX overdrive",
    (
      Option("colour", lambda x: 0 <= x <= 100, "between 0 and 100"),
      _OVERSAMPLE,
    ),
  ),
  "hard_clip": Effect(
    "clipping.hard_clip",
    "hard clip",
    (Option("rail", lambda x: x > 0, "a number above 0"), _OVERSAMPLE),
  ),
  "hard_clip_sdr": Effect(
    "clipping.clip_to_sdr",
    "hard clip",
    level_name="input_sdr_db",
    level_label="input SDR",
  ),
  "tanh": Effect("waveshaping.tanh_clip", "tanh soft clip", (_OVERSAMPLE,)),
  "arctan": Effect(
    "waveshaping.arctan_clip", "arctan soft clip", (_OVERSAMPLE,)
  ),
  "diode": Effect(
    "waveshaping.diode_clip",
    "asymmetric diode clip",
    (
      Option("rails", lambda x: x > 0, "two numbers above 0", count=2),
      Option("knees", lambda x: x >= 1, "two numbers from 1", count=2),
      _OVERSAMPLE,
    ),
  ),
  "foldback": Effect("waveshaping.foldback", "wave folding", (_OVERSAMPLE,)),
  "bit_crush": Effect(
    "bit_crush.bit_crush",
    "bit crush",
    (
      Option(
        "hold", lambda x: x >= 1 and x % 1 == 0, "a whole number from 1", int
      ),
    ),
    level_name="bits",
    level_label="resolution",
    unit="bit",
  ),
  "random_distortion": Effect(
    "random_distortion.random_distortion",
    "random distortion",
    (_OVERSAMPLE,),
    level_label="drive",
    takes_seed=True,
  ),
  # The level of a real device is unknown: it is always 0.
  "recorded": Effect(_recorded, "recorded distortion", level_label="level"),
}


def get(name: str) -> Effect:
  """Returns the effect called `name`, or raises UserError."""
  return look_up(EFFECTS, "effect", name)


def apply(
  effect: Effect,
  audio: "jax.Array",
  level: "jax.Array | float",
  seed: "jax.Array | int",
) -> "jax.Array":
  """Applies an effect, with the seed if it takes one."""
  if effect.takes_seed:
    return effect.apply(audio, level, seed)
  return effect.apply(audio, level)
