"""A network that corrects the estimates of declippers where audio is clipped.

It is given the audio in units of its rail, which samples are clipped, and what
several declippers made of it; it learns how to weight these, sample by sample,
and what to add:

    y = P(sum_k w_k a_k + s c),   sum_k w_k = 1,   s^2 = <(m - x)^2> + l^2

with the audio x, the estimates a_k and their mean m, a local mean <.> over
clipped samples, and the projection P on what agrees with the audio (see
`consistency`). l is the local level that the share p of clipped samples tells:
amplitudes of music are about Laplacian, so that p = exp(-rail / l), and l =
-1 / ln p in units of the rail is by how much they exceed it. A correction on
this scale moves a decibel about as far at every level; on the scale of the
audio, lightly clipped pairs are all that is learnt from. Weights w and
correction c come from a U-net, whose last layer is zero at first: training
starts with the mean of the declippers.

The idea of a network behind an iterative declipper has no single source.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.consistency import project
from distortion_removal.models.layers import check_fields
from distortion_removal.models.u_net import local_mean, reach, u_net

# Bounds of the share of clipped samples from which a level is derived.
_SHARES = (1e-3, 0.98)
_FLOOR = 1e-6  # of mean squares


class Hybrid(nn.Module):
  """Maps clipped audio and estimates to audio; channels one by one.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    estimates: number of estimates of each channel.
    channels: features of each level, the first at the rate over `stride`.
    stride: samples, or steps, that are one step of the next level.
    taps: kernel size of the outer levels.
    dilations: of the deepest level's blocks.
    level_samples: length of the local mean.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  estimates: int = 2
  channels: tuple[int, ...] = (32, 80, 160)
  stride: int = 4
  taps: int = 5
  dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
  level_samples: int = 1024
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    check_fields(self)

  @property
  def input_channels(self) -> int:
    """Channels of `[audio, signs, estimates…]`."""
    return (2 + self.estimates) * self.audio_channels

  @property
  def hop(self) -> int:
    """Samples of a step of the deepest level."""
    return self.stride ** len(self.channels)

  @property
  def context(self) -> tuple[int, int]:
    """Samples before and after that an output sample can depend on."""
    samples = reach(**self._shape) + self._half_level
    return samples, samples

  @property
  def _shape(self) -> dict[str, Any]:
    return {
      "channels": self.channels,
      "stride": self.stride,
      "taps": self.taps,
      "dilations": self.dilations,
    }

  @property
  def _half_level(self) -> int:
    return math.ceil(self.level_samples / 2 / self.hop) * self.hop

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples the network works on, with its zeros."""
    return length + -length % self.hop

  @nn.compact
  def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, input_channels]` to `[batch, time, channels]`.

    All are in units of the rail; `train` makes no difference.
    """
    batch, length, _ = inputs.shape
    kinds = 2 + self.estimates
    x = inputs.reshape(batch, length, kinds, self.audio_channels)
    x = x.transpose(0, 3, 1, 2).reshape(-1, length, kinds)
    x = jnp.pad(x, ((0, 0), (0, -length % self.hop), (0, 0)))
    audio, signs, estimates = x[..., :1], x[..., 1:2], x[..., 2:]
    features, scale = self._features(audio, signs, estimates)
    outputs = 1 + self.estimates  # a correction and the logits of weights
    output = u_net(
      features, outputs, **self._shape, dtype=self.dtype, remat=self.remat
    )
    # Time last: these are few channels for a CPU to work on side by side.
    output, estimates = output.swapaxes(1, 2), estimates.swapaxes(1, 2)
    audio, signs, scale = (x.swapaxes(1, 2) for x in (audio, signs, scale))
    weights = nn.softmax(output[:, 1:], 1)
    estimate = jnp.sum(weights * estimates, 1, keepdims=True)
    result = project(estimate + scale * output[:, :1], audio, signs)
    result = result[..., :length].reshape(batch, self.audio_channels, length)
    return result.swapaxes(1, 2)

  def _features(
    self, audio: jax.Array, signs: jax.Array, estimates: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Returns what the U-net sees, and the scale of its correction."""
    above, below = jnp.float32(signs > 0), jnp.float32(signs < 0)
    clipped = above + below
    mean = jnp.mean(estimates, -1, keepdims=True)
    excess = clipped * (mean - audio) ** 2
    local = [clipped, excess, estimates**2]
    hops = self._half_level // self.hop
    local = local_mean(jnp.concatenate(local, -1), self.hop, hops)
    share, excess, squares = local[..., :1], local[..., 1:2], local[..., 2:]
    share = jnp.clip(share, *_SHARES)
    level = -1 / jnp.log(share)
    scale = jnp.sqrt(excess / share + (share * level) ** 2)
    rms = jnp.sqrt(squares + _FLOOR)
    slow = jnp.concatenate([jnp.log(level), jnp.log(scale), scale, rms], -1)
    slow = jnp.repeat(slow, self.hop, 1)
    logs, scale, rms = slow[..., :2], slow[..., 2:3], slow[..., 3:]
    features = [
      audio,
      above,
      below,
      logs,
      (estimates - audio) / scale,
      estimates / rms,
      jnp.arcsinh(estimates),
    ]
    return jnp.concatenate(features, -1), scale
