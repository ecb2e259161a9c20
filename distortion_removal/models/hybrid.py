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
correction c come from a U-net of residual blocks, whose last layer is zero at
first: training starts with the mean of the declippers.

The idea of a network behind an iterative declipper has no single source; the
blocks are those of WaveNet-like networks (van den Oord et al. 2016), the norm
is that of Zhang and Sennrich, "Root mean square layer normalization", 2019.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.models.consistency import project
from distortion_removal.models.layers import check_fields, product

# Bounds of the share of clipped samples from which a level is derived.
_SHARES = (1e-3, 0.98)
_FLOOR = 1e-6  # of mean squares


class Convolution(nn.Module):
  """Convolution over time, with a bias.

  Attributes:
    features: output channels.
    taps: kernel size.
    dilation: steps between taps.
    initial: factor of the initial kernel.
    dtype: type of the products.
  """

  features: int
  taps: int = 1
  dilation: int = 1
  initial: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, scale: jax.Array | None = None) -> jax.Array:
    """Maps `[batch, time, in]`, times `scale`, to `[batch, time, features]`."""
    he = nn.initializers.variance_scaling(
      max(2.0 * self.initial**2, 1e-12), "fan_in", "normal"
    )
    inputs = self.taps * x.shape[-1]
    kernel = self.param("kernel", he, (inputs, self.features))
    if scale is not None:
      kernel = kernel * jnp.tile(scale, self.taps)[:, None]
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    if self.taps == 1:
      return product(x, kernel, self.dtype) + bias
    reach = (self.taps - 1) * self.dilation
    y = lax.conv_general_dilated(
      x.astype(self.dtype),
      kernel.astype(self.dtype).reshape(self.taps, -1, self.features),
      (1,),
      [(reach // 2, reach - reach // 2)],
      rhs_dilation=(self.dilation,),
      dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return y.astype(jnp.float32) + bias


class Norm(nn.Module):
  """Divides features by their root mean square.

  They are to be multiplied by the scales that it returns as well. A kernel is
  smaller to multiply than what it is applied to.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps `[batch, time, features]` to the same shape, and `[features]`."""
    scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
    mean_square = jnp.mean(x * x, -1, keepdims=True)
    return x * lax.rsqrt(mean_square + _FLOOR), scale


class Residual(nn.Module):
  """Adds to its input a dilated convolution and a product of it, rectified.

  Attributes:
    taps: kernel size.
    dilation: steps between taps.
    dtype: type of the products.
  """

  taps: int = 3
  dilation: int = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[batch, time, features]` to the same shape."""
    features = x.shape[-1]
    y, scale = Norm(name="norm")(x)
    y = Convolution(
      features, self.taps, self.dilation, dtype=self.dtype, name="dilated"
    )(y, scale)
    y = Convolution(features, initial=0.5, dtype=self.dtype, name="mixed")(
      nn.relu(y)
    )
    return x + y


class Hybrid(nn.Module):
  """Maps clipped audio and estimates to audio; channels one by one.

  Attributes:
    audio_channels, sample_rate, dtype: common to all networks, see `models`.
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
    reach = self.hop * sum(self.dilations) + 2 * self.hop + self._half_level
    for level in range(1, len(self.channels)):
      # Two blocks on the way down and on the way up, and their transitions.
      reach += self.stride**level * (4 * (self.taps // 2) + 2)
    return reach, reach

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
    output = self._u_net(features.astype(self.dtype)).astype(jnp.float32)
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
    local = self._local_mean(jnp.concatenate(local, -1))
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

  def _local_mean(self, x: jax.Array) -> jax.Array:
    """Averages over about `level_samples`, for each hop.

    Maps `[batch, time, features]` to `[batch, time / hop, features]`.
    """
    batch, _, features = x.shape
    steps = jnp.mean(x.reshape(batch, -1, self.hop, features), 2)
    reach = self._half_level // self.hop
    padded = jnp.pad(steps, ((0, 0), (reach, reach), (0, 0)))
    parts = [padded[:, i : i + steps.shape[1]] for i in range(2 * reach + 1)]
    ones = jnp.pad(jnp.ones(steps.shape[1]), reach)
    counts = sum(ones[i : i + steps.shape[1]] for i in range(2 * reach + 1))
    return sum(parts) / counts[:, None]

  def _u_net(self, x: jax.Array) -> jax.Array:
    """Maps features to a correction and the logits of the weights."""

    def convolution(name, features, taps=1, **options):
      return Convolution(features, taps, dtype=self.dtype, name=name, **options)

    def block(name, taps, dilation=1):
      return Residual(taps, dilation, self.dtype, name=name)

    skips, depth = [], len(self.channels)
    for level, features in enumerate(self.channels):
      x = x.reshape(x.shape[0], -1, self.stride * x.shape[-1])
      x = convolution(f"down_{level}", features, 3 if level == 0 else 1)(x)
      if level < depth - 1:
        x = block(f"encode_{level}", self.taps)(x)
        skips.append(x)
    for index, dilation in enumerate(self.dilations):
      x = block(f"deep_{index}", 3, dilation)(x)
    for level in reversed(range(depth - 1)):
      features = self.channels[level]
      x = self._upsample(convolution(f"up_{level}", self.stride * features)(x))
      x = x + convolution(f"skip_{level}", features)(skips[level])
      x = block(f"decode_{level}", self.taps)(x)
    x, scale = Norm(name="norm")(x)
    x = nn.relu(x * scale)
    outputs = (1 + self.estimates) * self.stride
    x = convolution("last", outputs, 3, initial=0.0)(x)
    return self._upsample(x)

  def _upsample(self, x: jax.Array) -> jax.Array:
    """Reads the features of a step as those of `stride` steps."""
    batch, time, features = x.shape
    return x.reshape(batch, time * self.stride, features // self.stride)
