"""A network that corrects audio: it starts as the identity.

    y = x + s c,   s^2 = <x^2> + (l / 100)^2

with a local mean <.>, the level l of the loudest place, which for distorted
audio is about that of its plateaus, and a correction c from a U-net, whose last
layer is zero at first. What needs no correction is easily left as it is, and
the level of a recording does not matter. Ours; it has no other source.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.layers import check_fields
from distortion_removal.models.u_net import local_mean, u_net

_SILENCE = 1e-10  # mean square, −100 dB
_QUIET = 1e-4  # of the loudest place's mean square, −40 dB


class Correction(nn.Module):
  """Maps audio to audio of the same shape; channels one by one.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    channels: features of each level, the first at the rate over `stride`.
    stride: samples, or steps, that are one step of the next level.
    taps: kernel size of the outer levels.
    dilations: of the deepest level's blocks.
    level_samples: length of the local mean.
  """

  audio_channels: int = 1
  sample_rate: int = 44_100
  channels: tuple[int, ...] = (32, 80, 160)
  stride: int = 4
  taps: int = 5
  dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
  level_samples: int = 2048
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    check_fields(self)

  @property
  def hop(self) -> int:
    """Samples of a step of the deepest level."""
    return self.stride ** len(self.channels)

  @property
  def context(self) -> None:
    """Unlimited: the loudest place is that of the whole recording."""
    return None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples the network works on, with its zeros."""
    return length + -length % self.hop

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, channels]` to the same; `train` has no effect."""
    batch, length, _ = audio.shape
    x = audio.swapaxes(1, 2).reshape(-1, length, 1)
    x = jnp.pad(x, ((0, 0), (0, -length % self.hop), (0, 0)))
    hops = math.ceil(self.level_samples / 2 / self.hop)
    power = local_mean(x**2, self.hop, hops)
    loudest = jnp.max(power, 1, keepdims=True) + _SILENCE
    log_level = jnp.log(power / loudest + _QUIET)
    scale = jnp.sqrt(power + _QUIET * loudest)
    log_level, scale = (jnp.repeat(y, self.hop, 1) for y in (log_level, scale))
    features = [x / jnp.sqrt(loudest), x / scale, log_level]
    correction = u_net(
      jnp.concatenate(features, -1),
      1,
      channels=self.channels,
      stride=self.stride,
      taps=self.taps,
      dilations=self.dilations,
      dtype=self.dtype,
      remat=self.remat,
    )
    result = (x + scale * correction)[:, :length, 0]
    result = result.reshape(batch, self.audio_channels, length)
    return result.swapaxes(1, 2)
