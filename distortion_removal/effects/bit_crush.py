"""Bit crushing: few bits, and samples that are held."""

import jax
import jax.numpy as jnp

from distortion_removal.effects import level


def bit_crush(
  audio: jax.Array,
  bits: jax.Array | float,
  *,
  hold: jax.Array | int = 1,
) -> jax.Array:
  """Quantises to a number of bits and holds samples.

  With the step q = 2^(1 - bits) of a converter from -1 to 1,

      d[n] = q round(clip(x[n], -1, 1) / q)
      y[n] = d[n - n mod hold]

  The quantiser is mid-tread, so silence stays silence; a half rounds to the
  even code. Its derivative is 0 wherever it exists.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    bits: resolution, scalar or `[batch]`; at least 1, need not be whole, and
      has no effect in float32 from 24 on.
    hold: length in samples, from 1, for which a sample is held, scalar or
      `[batch]`: the sample rate is divided by it, without any filter.

  Source: Oppenheim and Schafer, "Discrete-Time Signal Processing", section
  4.8, on the uniform quantiser and the zero-order hold.
  """
  step = 2.0 ** (1.0 - level.per_item(bits))
  return hold_samples(quantise(jnp.asarray(audio, jnp.float32), step), hold)


def quantise(audio: jax.Array, step: jax.Array) -> jax.Array:
  """Clips to [-1, 1] and rounds to multiples of `step`, which broadcasts."""
  return step * jnp.round(jnp.clip(audio, -1.0, 1.0) / step)


def hold_samples(audio: jax.Array, hold: jax.Array | int) -> jax.Array:
  """Replaces sample n by sample n - n mod hold; see `bit_crush`."""
  if isinstance(hold, int) and hold == 1:
    return audio
  sample = jnp.arange(audio.shape[-2])[:, None]
  hold = jnp.asarray(hold)[..., None, None]
  taken = jnp.broadcast_to(sample - sample % hold, (*audio.shape[:-1], 1))
  return jnp.take_along_axis(audio, taken, axis=-2)
