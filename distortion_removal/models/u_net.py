"""A U-net of residual blocks, and what networks share that correct by one.

The blocks are those of WaveNet-like networks (van den Oord et al. 2016), the
norm is that of Zhang and Sennrich, "Root mean square layer normalization",
2019.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.models.layers import check_fields, product

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


def u_net(
  x: jax.Array,
  outputs: int,
  *,
  channels: Sequence[int],
  stride: int,
  taps: int,
  dilations: Sequence[int],
  dtype: Any,
  remat: bool,
) -> jax.Array:
  """Maps features `[batch, time, in]` to `[batch, time, outputs]`.

  To be called in a compact module, whose parameters its layers become. The last
  layer is zero at first.

  Args:
    x: a multiple of `stride` to the power of levels long.
    outputs: features of the result, float32.
    channels: features of each level, the first at the rate over `stride`.
    stride: samples, or steps, that are one step of the next level.
    taps: kernel size of the outer levels.
    dilations: of the deepest level's blocks.
    dtype: type of the products.
    remat: computes the blocks again for the gradient, see `layers.block`.
  """

  def convolution(name, features, taps=1, **options):
    return Convolution(features, taps, dtype=dtype, name=name, **options)

  def block(name, taps, dilation=1):
    kind = nn.remat(Residual) if remat else Residual
    return kind(taps, dilation, dtype, name=name)

  x = x.astype(dtype)
  skips, depth = [], len(channels)
  for level, features in enumerate(channels):
    x = x.reshape(x.shape[0], -1, stride * x.shape[-1])
    x = convolution(f"down_{level}", features, 3 if level == 0 else 1)(x)
    if level < depth - 1:
      x = block(f"encode_{level}", taps)(x)
      skips.append(x)
  for index, dilation in enumerate(dilations):
    x = block(f"deep_{index}", 3, dilation)(x)
  for level in reversed(range(depth - 1)):
    x = convolution(f"up_{level}", stride * channels[level])(x)
    x = _upsample(x, stride)
    x = x + convolution(f"skip_{level}", channels[level])(skips[level])
    x = block(f"decode_{level}", taps)(x)
  x, scale = Norm(name="norm")(x)
  x = nn.relu(x * scale)
  x = convolution("last", outputs * stride, 3, initial=0.0)(x)
  return _upsample(x, stride).astype(jnp.float32)


class Corrector(nn.Module):
  """Base of networks that correct what they are given, channels one by one.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    channels: features of each level, the first at the rate over `stride`.
    stride: samples, or steps, that are one step of the next level.
    taps: kernel size of the outer levels.
    dilations: of the deepest level's blocks.
    level_samples: length of the local mean of levels.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
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
  def hop(self) -> int:
    """Samples of a step of the deepest level."""
    return self.stride ** len(self.channels)

  @property
  def level_hops(self) -> int:
    """Hops on either side that `local_mean` takes in."""
    return math.ceil(self.level_samples / 2 / self.hop)

  @property
  def reach(self) -> int:
    """Samples before and after that a sample of `correct` depends on."""
    samples = self.hop * (sum(self.dilations) + 2)
    for level in range(1, len(self.channels)):
      # Two blocks on the way down and on the way up, and their transitions.
      samples += self.stride**level * (4 * (self.taps // 2) + 2)
    return samples

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples the network works on, with its zeros."""
    return length + -length % self.hop

  @nn.nowrap
  def one_by_one(self, inputs: jax.Array, kinds: int = 1) -> jax.Array:
    """Makes an item of each channel, filled up with zeros to whole hops.

    Maps `[batch, time, kinds * channels]` to `[batch * channels, time, kinds]`.
    """
    batch, length, _ = inputs.shape
    x = inputs.reshape(batch, length, kinds, self.audio_channels)
    x = x.transpose(0, 3, 1, 2).reshape(-1, length, kinds)
    return jnp.pad(x, ((0, 0), (0, -length % self.hop), (0, 0)))

  @nn.nowrap
  def together(self, audio: jax.Array, length: int) -> jax.Array:
    """Maps `[batch * channels, 1, time]` to `[batch, length, channels]`."""
    x = audio[..., :length].reshape(-1, self.audio_channels, length)
    return x.swapaxes(1, 2)

  @nn.nowrap
  def correct(self, features: jax.Array, outputs: int) -> jax.Array:
    """Applies the U-net; see `u_net`, and call it from a compact method."""
    return u_net(
      features,
      outputs,
      channels=self.channels,
      stride=self.stride,
      taps=self.taps,
      dilations=self.dilations,
      dtype=self.dtype,
      remat=self.remat,
    )


def weigh(
  output: jax.Array, estimates: jax.Array, scale: jax.Array
) -> jax.Array:
  """Weights estimates by shares of one, and adds a correction.

  Args:
    output: of the U-net, `[batch, time, 1 + estimates]`: the correction, and
      the logits of the weights.
    estimates: `[batch, time, estimates]`.
    scale: of the correction, `[batch, time, 1]`.

  Returns:
    `[batch, 1, time]`.
  """
  # Time last: these are few channels for a CPU to work on side by side.
  output, estimates, scale = (
    x.swapaxes(1, 2) for x in (output, estimates, scale)
  )
  weights = nn.softmax(output[:, 1:], 1)
  estimate = jnp.sum(weights * estimates, 1, keepdims=True)
  return estimate + scale * output[:, :1]


def local_mean(x: jax.Array, hop: int, hops: int) -> jax.Array:
  """Averages over a hop and `hops` before and after it, as far as there are.

  Maps `[batch, time, features]` to `[batch, time / hop, features]`.
  """
  batch, _, features = x.shape
  steps = jnp.mean(x.reshape(batch, -1, hop, features), 2)
  padded = jnp.pad(steps, ((0, 0), (hops, hops), (0, 0)))
  parts = [padded[:, i : i + steps.shape[1]] for i in range(2 * hops + 1)]
  ones = jnp.pad(jnp.ones(steps.shape[1]), hops)
  counts = sum(ones[i : i + steps.shape[1]] for i in range(2 * hops + 1))
  return sum(parts) / counts[:, None]


def _upsample(x: jax.Array, stride: int) -> jax.Array:
  """Reads the features of a step as those of `stride` steps."""
  batch, time, features = x.shape
  return x.reshape(batch, time * stride, features // stride)
