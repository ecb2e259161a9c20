"""A U-net of residual blocks, for networks that correct several estimates.

The blocks are those of WaveNet-like networks (van den Oord et al. 2016), the
norm is that of Zhang and Sennrich, "Root mean square layer normalization",
2019.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.models.layers import product

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


def reach(
  *, channels: Sequence[int], stride: int, taps: int, dilations: Sequence[int]
) -> int:
  """Counts the samples before and after that a sample of `u_net` depends on."""
  hop = stride ** len(channels)
  samples = hop * (sum(dilations) + 2)
  for level in range(1, len(channels)):
    # Two blocks on the way down and on the way up, and their transitions.
    samples += stride**level * (4 * (taps // 2) + 2)
  return samples


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
