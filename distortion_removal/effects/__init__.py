"""Distortion effects: pure functions of audio and a level, listed by name."""

import dataclasses
from collections.abc import Callable

import jax

from distortion_removal import errors
from distortion_removal.effects import clipping, overdrive


@dataclasses.dataclass(frozen=True)
class Effect:
  """A distortion effect with one level.

  Attributes:
    apply: `apply(audio, level)`: audio `[batch, time, channels]` and a level,
      scalar or `[batch]`, to distorted audio `[batch, time, channels]`.
    level_name: what the level is, as records name it.
    level_label: the same for people, as tables and axes name it.
    unit: the level's unit.
    label: the effect's name for people.
  """

  apply: Callable[[jax.Array, jax.Array | float], jax.Array]
  level_name: str
  level_label: str
  unit: str
  label: str


EFFECTS = {
  "overdrive": Effect(
    overdrive.overdrive, "gain_db", "gain", "dB", "SoX overdrive"
  ),
  "hard_clip": Effect(clipping.hard_clip, "gain_db", "gain", "dB", "hard clip"),
  "hard_clip_sdr": Effect(
    clipping.clip_to_sdr, "input_sdr_db", "input SDR", "dB", "hard clip"
  ),
}


def get(name: str) -> Effect:
  """Returns the effect called `name`.

  Raises:
    UserError: no effect has that name; the message lists those there are.
  """
  return errors.look_up(EFFECTS, "effect", name)
