"""Consistency as a layer, for any network that undoes clipping.

A reliable sample is known exactly, a clipped one lies at the rail or beyond.
The true signal fulfils both, so that projecting an estimate on what does moves
no sample away from the true one.

A consistent network takes audio in units of the rail, so that the level does
not matter, and next to it, as more channels, the signs of its clipped samples.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

# Samples so near to the peak are clipped: a rail is rounded to float32.
_ROUNDING = 2.0**-21


def project(
  estimate: jax.Array, audio: jax.Array, signs: jax.Array
) -> jax.Array:
  """Projects an estimate on the signals that agree with clipped audio.

  The gradient of clipped samples passes straight through: one that lies short
  of the rail would have none otherwise, and stay there.

  Args:
    estimate: `[batch, time, channels]`.
    audio: the clipped audio, of the same shape.
    signs: 1 clipped above, -1 below, 0 reliable, of the same shape.
  """
  beyond = jnp.where(
    signs > 0, jnp.maximum(estimate, audio), jnp.minimum(estimate, audio)
  )
  # The difference is 0 and only has a gradient.
  beyond = jax.lax.stop_gradient(beyond) + (
    estimate - jax.lax.stop_gradient(estimate)
  )
  return jnp.where(signs == 0, audio, beyond)


def signs_at_peak(audio: jax.Array) -> jax.Array:
  """Marks the samples at an item's peak, its rail if it was hard-clipped.

  An item that was not has one sample marked, or few, which lie at their own
  value or beyond as well.
  """
  peak = jnp.max(jnp.abs(audio), axis=(-2, -1), keepdims=True)
  at_rail = jnp.abs(audio) >= peak * (1 - _ROUNDING)
  return jnp.where(at_rail, jnp.sign(audio), 0.0)


class Consistent(nn.Module):
  """Any network, its output projected on what agrees with its input.

  Its variables are those of the network, so that weights of one serve the
  other.

  Attributes:
    network: one of `models`; it gets audio in units of the rail.
  """

  network: nn.Module

  def setup(self):
    """Shares the network's scope, so that its variables keep their names."""
    nn.share_scope(self, self.network)

  def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, channels]`, or `input_channels`, to `channels`.

    Audio alone, as a task's effect makes it, is clipped at each item's peak.
    """
    channels = self.network.audio_channels
    audio, signs = inputs[..., :channels], inputs[..., channels:]
    rail = 1.0
    if not signs.shape[-1]:
      signs = signs_at_peak(audio)
      rail = jnp.max(jnp.abs(audio), axis=(-2, -1), keepdims=True)
      rail = jnp.where(rail > 0, rail, 1.0)
    estimate = rail * self.network(audio / rail, train=train)
    return project(estimate, audio, signs)

  @property
  def input_channels(self) -> int:
    """Channels of `[audio, signs]`, the audio in units of its rail."""
    return 2 * self.network.audio_channels

  @property
  def audio_channels(self) -> int:
    """Channels of the audio."""
    return self.network.audio_channels

  @property
  def sample_rate(self) -> int:
    """The network's rate in Hz."""
    return self.network.sample_rate

  @property
  def dtype(self) -> Any:
    """Type of the network's computation."""
    return self.network.dtype

  @property
  def hop(self) -> int:
    """The network's hop in samples."""
    return self.network.hop

  @property
  def context(self) -> tuple[int, int] | None:
    """The network's context in samples."""
    return self.network.context

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples that the network works on."""
    return self.network.valid_length(length)
