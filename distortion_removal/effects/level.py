"""Levels in the shape of the audio `[batch, time, channels]` they scale."""

import jax
import jax.numpy as jnp


def per_item(value: jax.Array | float) -> jax.Array:
  """Shapes a value, scalar or `[batch]`, to multiply audio, as float32."""
  return jnp.asarray(value, jnp.float32)[..., None, None]


def gain_factor(gain_db: jax.Array | float) -> jax.Array:
  """Returns the factor 10^(gain / 20) of a gain in dB, shaped `per_item`."""
  return 10.0 ** (per_item(gain_db) / 20.0)
