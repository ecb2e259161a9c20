"""Levels of audio: its peak, scaling to a peak, and the test for silence.

Audio is `[batch, time, channels]` float32. Any number of leading axes works,
including none; an item is what one leading index selects.
"""

import jax
import jax.numpy as jnp

# -200 dB of full scale: far under the step of 24-bit audio (-138 dB), and far
# enough over the smallest float32 that dividing by such a peak is safe.
SILENCE_PEAK = 1e-10


def per_item(value: jax.Array | float) -> jax.Array:
  """Shapes a value, scalar or `[batch]`, to multiply audio, as float32."""
  return jnp.asarray(value, jnp.float32)[..., None, None]


def gain_factor(gain_db: jax.Array | float) -> jax.Array:
  """Returns the factor 10^(gain / 20) of a gain in dB, shaped `per_item`."""
  return 10.0 ** (per_item(gain_db) / 20.0)


def peak(audio: jax.Array) -> jax.Array:
  """Returns the largest magnitude over time and channels, `[batch]`."""
  return jnp.max(jnp.abs(audio), axis=(-2, -1))


def is_silent(audio: jax.Array) -> jax.Array:
  """Tells which items' peaks are at most `SILENCE_PEAK`, `[batch]`.

  The functions that need a level to work on (`peak_normalise`,
  `clipping.clip_to_sdr`) return such an item unchanged.
  """
  return peak(audio) <= SILENCE_PEAK


def peak_normalise(
  audio: jax.Array, peak_level: jax.Array | float
) -> jax.Array:
  """Scales each item so that its peak over time and channels is `peak_level`.

  The channels of an item share one factor, so their balance is kept.

  Args:
    audio: `[batch, time, channels]`.
    peak_level: linear amplitude (0.5 is -6.02 dB full scale), scalar or
      `[batch]`.

  Returns:
    `[batch, time, channels]` float32; silent items unchanged.
  """
  audio = jnp.asarray(audio, jnp.float32)
  silent = is_silent(audio)
  # Silence is divided by 1, not by 0, which would poison the gradient.
  factor = jnp.where(
    silent, 1.0, peak_level / jnp.where(silent, 1.0, peak(audio))
  )
  return per_item(factor) * audio
