"""Levels of audio: its peak, scaling to a peak, and the test for silence.

Audio is `[batch, time, channels]` float32 throughout; any number of leading
axes works, none included, and "per item" means per leading index. Every
function can be traced by `jit` and `vmap` and differentiated.
"""

import jax
import jax.numpy as jnp

# -200 dB of full scale: far under the step of 24-bit audio (-138 dB), and far
# enough over the smallest float32 that dividing by such a peak is safe.
SILENCE_PEAK = 1e-10


def per_item(value: jax.Array | float) -> jax.Array:
  """Shapes a scalar or `[batch]` value to multiply `[batch, time, channels]`.

  Args:
    value: a level or factor, scalar or `[batch]`.

  Returns:
    float32, `[1, 1]` or `[batch, 1, 1]`.
  """
  return jnp.asarray(value, jnp.float32)[..., None, None]


def gain_factor(gain_db: jax.Array | float) -> jax.Array:
  """The amplitude factor 10^(gain / 20) of a gain in dB, as `per_item`."""
  return 10.0 ** (per_item(gain_db) / 20.0)


def peak(audio: jax.Array) -> jax.Array:
  """The largest magnitude over time and channels.

  Args:
    audio: `[batch, time, channels]`, at least one sample long.

  Returns:
    `[batch]`, linear amplitude (1.0 is full scale).
  """
  return jnp.max(jnp.abs(audio), axis=(-2, -1))


def is_silent(audio: jax.Array) -> jax.Array:
  """Whether an item's peak is at most `SILENCE_PEAK` (-200 dB full scale).

  The functions that need a level to work on (`peak_normalise`,
  `clipping.clip_to_sdr`) return such an item unchanged; call this to report
  or to leave out those items.

  Args:
    audio: `[batch, time, channels]`.

  Returns:
    `[batch]`, boolean.
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
