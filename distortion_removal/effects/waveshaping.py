"""Memoryless curves: soft clips, a diode's, a fold.

Every effect amplifies the audio, u = 10^(gain / 20) x, and applies a curve f
with f(0) = 0 and slope 1 at 0, hence a slope of 10^(gain / 20) for quiet
audio. The gain is not taken back; every docstring states the output's bounds.
Silence stays silence. All are differentiable in the audio and in the gain.

Arguments of every effect:
  audio: `[batch, time, channels]`, 1.0 is full scale.
  gain_db: gain before the curve in dB, scalar or `[batch]`.
  oversample: see `oversampling`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from distortion_removal.effects import level
from distortion_removal.effects.dc_blocker import block_dc
from distortion_removal.effects.oversampling import oversampled

# Fitted by Yeh et al. to the diode pair of the Boss DS-1.
_DIODE_KNEE = 2.5
# Above and below zero: two diodes in series against one.
DIODE_RAILS = (1.0, 0.5)


def tanh_clip(
  audio: jax.Array, gain_db: jax.Array | float, *, oversample: int = 1
) -> jax.Array:
  """Clips softly: y = tanh(u), within -1 and 1.

  A quiet sine of amplitude a gets a third harmonic of a^3 / 12: the level of
  a^2 / 12 against the sine.

  Source: Pakarinen and Yeh, "A Review of Digital Techniques for Modeling
  Vacuum-Tube Guitar Amplifiers", Computer Music Journal 33(2), 2009, on
  memoryless saturation.
  """
  return _shape(jnp.tanh, audio, gain_db, oversample)


def arctan_clip(
  audio: jax.Array, gain_db: jax.Array | float, *, oversample: int = 1
) -> jax.Array:
  """Clips more softly: y = (2 / pi) arctan(pi u / 2), within -1 and 1.

  It approaches its rails as 1 - 4 / (pi^2 u), where `tanh_clip` has practically
  reached them at u = 5. Source: the same review.
  """
  return _shape(arctan, audio, gain_db, oversample)


def diode_clip(
  audio: jax.Array,
  gain_db: jax.Array | float,
  *,
  rails: tuple[jax.Array | float, jax.Array | float] = DIODE_RAILS,
  knees: tuple[float, float] = (_DIODE_KNEE, _DIODE_KNEE),
  oversample: int = 1,
) -> jax.Array:
  """Clips as diodes to ground do, differently above and below zero.

  With rail r and knee n of the half that u is in,

      d = u / (1 + |u / r|^n)^(1 / n)

  and the mean that unlike rails give is removed by `dc_blocker.block_dc`. The
  default rails are those of two diodes in series against one. The output stays
  within the sum of the rails.

  Args:
    audio: see the module.
    gain_db: see the module.
    rails: the magnitudes approached above and below zero, each above 0,
      scalar or `[batch]`.
    knees: hardness of the clip above and below zero, at least 1.
    oversample: see `oversampling`.

  Source: the formula, with one rail of 1 and n = 2.5, from Yeh, Abel and
  Smith, "Simplified, Physically-Informed Models of Distortion and Overdrive
  Guitar Effects Pedals", DAFx 2007; two halves as in asymmetric pedals.
  """
  rails = tuple(map(level.per_item, rails))

  def curve(driven):
    return diode(driven, rails, knees)

  return block_dc(_shape(curve, audio, gain_db, oversample))


def foldback(
  audio: jax.Array, gain_db: jax.Array | float, *, oversample: int = 1
) -> jax.Array:
  """Folds what passes 1 or -1 back, as often as needed: a triangle wave of u.

  With r = u - 4 round(u / 4), which is within -2 and 2,

      y = 2 clip(r, -1, 1) - r

  is u up to 1, 2 - u up to 3, u - 4 up to 5, and so on; within -1 and 1.

  Source: the ideal wavefolder; Esqueda, Pontynen, Valimaki and Parker,
  "Virtual Analog Buchla 259 Wavefolder", DAFx 2017, on circuits that fold.
  """
  return _shape(fold, audio, gain_db, oversample)


def arctan(driven: jax.Array) -> jax.Array:
  """Applies the curve of `arctan_clip`."""
  return 2.0 / jnp.pi * jnp.arctan(jnp.pi / 2.0 * driven)


def arctan_slope(driven: jax.Array) -> jax.Array:
  """Returns the slope of `arctan`."""
  return 1.0 / (1.0 + (jnp.pi / 2.0 * driven) ** 2)


def undo_arctan(clipped: jax.Array) -> jax.Array:
  """Inverts `arctan`, within -1 and 1."""
  return 2.0 / jnp.pi * jnp.tan(jnp.pi / 2.0 * clipped)


def tanh_slope(driven: jax.Array) -> jax.Array:
  """Returns the slope of tanh, without its underflow far out."""
  decay = jnp.exp(-2.0 * jnp.abs(driven))
  return 4.0 * decay / (1.0 + decay) ** 2


def diode(
  driven: jax.Array,
  rails: tuple[jax.Array, jax.Array],
  knees: tuple[float, float] = (_DIODE_KNEE, _DIODE_KNEE),
) -> jax.Array:
  """Applies the curve of `diode_clip`; `rails` broadcast to `driven`."""
  height, knee = _on_its_side(driven, rails, knees)
  # The power of the smaller of the height and its inverse stays finite.
  above = jnp.maximum(height, 1.0)
  small = jnp.minimum(height, 1.0 / above)
  return driven / above * (1.0 + small**knee) ** (-1.0 / knee)


def diode_slope(
  driven: jax.Array,
  rails: tuple[jax.Array, jax.Array],
  knees: tuple[float, float] = (_DIODE_KNEE, _DIODE_KNEE),
) -> jax.Array:
  """Returns the slope of `diode`: (1 + |u / r|^n)^(-1 - 1 / n)."""
  height, knee = _on_its_side(driven, rails, knees)
  return (1.0 + height**knee) ** (-1.0 - 1.0 / knee)


def undo_diode(
  clipped: jax.Array,
  rails: tuple[jax.Array, jax.Array],
  knees: tuple[float, float] = (_DIODE_KNEE, _DIODE_KNEE),
) -> jax.Array:
  """Inverts `diode`, within its rails: d / (1 - |d / r|^n)^(1 / n)."""
  height, knee = _on_its_side(clipped, rails, knees)
  return clipped * (1.0 - height**knee) ** (-1.0 / knee)


def _on_its_side(
  signal: jax.Array,
  rails: tuple[jax.Array, jax.Array],
  knees: tuple[float, float],
) -> tuple[jax.Array, jax.Array | float]:
  """Returns |signal| over its side's rail, and that side's knee."""
  up = signal > 0
  knee = knees[0] if knees[0] == knees[1] else jnp.where(up, *knees)
  return jnp.abs(signal) / jnp.where(up, *rails), knee


def fold(driven: jax.Array) -> jax.Array:
  """Applies the curve of `foldback`."""
  rest = driven - 4.0 * jnp.round(driven / 4.0)
  return 2.0 * jnp.clip(rest, -1.0, 1.0) - rest


def _shape(
  curve: Callable[[jax.Array], jax.Array],
  audio: jax.Array,
  gain_db: jax.Array | float,
  oversample: int,
) -> jax.Array:
  driven = level.gain_factor(gain_db) * jnp.asarray(audio, jnp.float32)
  return oversampled(curve, driven, oversample)
