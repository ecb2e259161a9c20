"""Random distortion: any other effect between random tone filters.

For a network that has to cope with unknown equipment. Every parameter but the
drive comes from the item's own seed, so that an item is the same in any batch,
after any restart, and on any device.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import bit_crush, level, overdrive, waveshaping
from distortion_removal.effects.dc_blocker import block_dc
from distortion_removal.effects.oversampling import oversampled
from distortion_removal.effects.tone import Section, equalise

# The probability of each kind.
WEIGHTS = {
  "overdrive": 0.25,
  "hard_clip": 0.15,
  "tanh": 0.15,
  "arctan": 0.1,
  "diode": 0.15,
  "foldback": 0.1,
  "bit_crush": 0.1,
}
KINDS = tuple(WEIGHTS)
_OVERDRIVE, _DIODE, _BIT_CRUSH = map(
  KINDS.index, ("overdrive", "diode", "bit_crush")
)
_BITS = 12.0  # of the bit crush without any drive
_DRAWS = 16  # random numbers of an item


class Draw(NamedTuple):
  """The random parameters of each item; arrays are `[batch]`."""

  kind: jax.Array  # index of `KINDS`, int32
  colour: jax.Array  # of the overdrive, 0 to 100
  rail: jax.Array  # of the diode below zero, 0.25 to 1
  hold: jax.Array  # of the bit crush, 1 to 4 samples; 1 for any other kind
  before: tuple[Section, ...]  # tone filters before the distortion
  after: tuple[Section, ...]  # tone filters after it


def random_distortion(
  audio: jax.Array,
  gain_db: jax.Array | float,
  seed: jax.Array | int,
  *,
  oversample: int = 4,
) -> jax.Array:
  """Distorts each item in its own way, harder with a higher level.

  The kind is drawn with the probabilities `WEIGHTS`:

  * overdrive of any colour, hard clip, tanh, arctan and diode with a lower
    rail of 0.25 to 1: driven by the gain;
  * foldback: driven by half of the gain in dB, because more leaves only noise;
  * bit crush: the step of 12 bits is amplified instead of the audio, so that
    each 6.02 dB take a bit away; samples are held for 1 to 4.

  A shelf and a peak come before it and after it, half of them flat. These can
  be undone; a low-pass could not. Their corners lie at fractions of the sample
  rate, because an effect does not know the rate itself.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    gain_db: the drive in dB, scalar or `[batch]`; 10 to 50 for a peak of 0.5.
    seed: uint32, scalar or `[batch]`.
    oversample: see `oversampling`; analogue devices do not alias. The bit
      crush is not oversampled.

  Source: the formulas are those of `overdrive`, `clipping`, `waveshaping`,
  `bit_crush` and `tone`; weights and ranges are this project's.
  """
  drawn = draw(seed)
  toned = equalise(audio, drawn.before)
  return equalise(_distort(toned, gain_db, drawn, oversample), drawn.after)


def draw(seed: jax.Array | int) -> Draw:
  """Draws an item's parameters from its seed, uint32, scalar or `[batch]`."""
  uniforms = iter(jnp.moveaxis(_uniforms(jnp.asarray(seed, jnp.uint32)), -1, 0))

  def between(low, high):
    return low + (high - low) * next(uniforms)

  def octaves(low, high):
    return low * (high / low) ** next(uniforms)

  def sometimes(low, high):
    return jnp.where(next(uniforms) < 0.5, 0.0, between(low, high))

  bounds = np.cumsum(np.float32(list(WEIGHTS.values())))[:-1]
  kind = jnp.sum(next(uniforms)[..., None] >= bounds, axis=-1, dtype=jnp.int32)
  hold = jnp.floor(between(1.0, 5.0)).astype(jnp.int32)
  return Draw(
    kind=kind,
    colour=between(0.0, 100.0),
    rail=octaves(0.25, 1.0),
    hold=jnp.where(kind == _BIT_CRUSH, hold, 1),
    before=(
      Section("low_shelf", octaves(0.005, 0.03), gain_db=sometimes(-12.0, 6.0)),
      Section("peaking", octaves(0.02, 0.2), gain_db=sometimes(-9.0, 9.0)),
    ),
    after=(
      Section("peaking", octaves(0.01, 0.1), gain_db=sometimes(-9.0, 9.0)),
      Section("high_shelf", octaves(0.05, 0.25), gain_db=sometimes(-12.0, 6.0)),
    ),
  )


def _uniforms(seed: jax.Array) -> jax.Array:
  """Draws `[batch, _DRAWS]` between 0 and 1."""

  def draw_one(seed):
    # Named, so that another default of JAX changes no data.
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.uniform(key, (_DRAWS,))

  return jnp.vectorize(draw_one, signature="()->(n)")(seed)


def _distort(
  audio: jax.Array, gain_db: jax.Array | float, drawn: Draw, oversample: int
) -> jax.Array:
  """Applies the drawn kind without tone filters."""
  kind = level.per_item(drawn.kind)
  # The cubic and the diode leave a mean; the cubic's is SoX's effect.
  shaped = oversampled(lambda x: _curves(x, gain_db, drawn), audio, oversample)
  blocked = block_dc(shaped)
  step = 2.0 ** (1.0 - _BITS) * level.gain_factor(gain_db)
  crushed = bit_crush.quantise(audio, step)
  output = jnp.where(kind == _DIODE, blocked, shaped)
  output = jnp.where(kind == _OVERDRIVE, 0.5 * audio + 0.75 * blocked, output)
  output = jnp.where(kind == _BIT_CRUSH, crushed, output)
  return bit_crush.hold_samples(output, drawn.hold)


def _curves(
  audio: jax.Array, gain_db: jax.Array | float, drawn: Draw
) -> jax.Array:
  """Computes all curves and keeps each item's own, as `vmap` of a switch."""
  kind = level.per_item(drawn.kind)
  driven = level.gain_factor(gain_db) * audio
  half_driven = level.gain_factor(jnp.asarray(gain_db) / 2.0) * audio
  rail = level.per_item(drawn.rail)
  curves = {
    "overdrive": overdrive.soft_clip(
      driven + level.per_item(drawn.colour) / overdrive.COLOUR_OF_1
    ),
    "hard_clip": jnp.clip(driven, -1.0, 1.0),
    "tanh": jnp.tanh(driven),
    "arctan": waveshaping.arctan(driven),
    "diode": waveshaping.diode(driven, (jnp.ones_like(rail), rail)),
    "foldback": waveshaping.fold(half_driven),
  }
  chosen = jnp.zeros_like(driven)
  for name, curve in curves.items():
    chosen = jnp.where(kind == KINDS.index(name), curve, chosen)
  return chosen
