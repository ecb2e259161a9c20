"""Building blocks that networks share: convolutions and products of matrices.

A kernel's axes are those of PyTorch's weight in reverse order, so that porting
weights is `w.T`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.audio.framing import overlap_add

# Values of a patch up to which a matrix of patches costs little.
_SMALL_PATCH = 16


def symmetric_uniform(bound: float) -> nn.initializers.Initializer:
  """Initialiser U(-bound, bound); PyTorch's default has 1 / sqrt(fan_in)."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def centre_trim(x: jax.Array, length: int) -> jax.Array:
  """The middle `length` steps of `[batch, time, channels]`."""
  start = (x.shape[1] - length) // 2
  return x[:, start : start + length]


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """Convolution (cross-correlation) over time without padding.

  A stride is taken by reading so many steps as one of so many times the
  features, because the gradients of XLA's strided convolution are slow on
  CPUs.

  Args:
    x: `[batch, time, in]`.
    kernel: `[taps, in, out]`; PyTorch's Conv1d weight, transposed.
    stride: the input samples between two outputs.

  Returns:
    `[batch, (time - taps) // stride + 1, out]`.
  """
  batch, time, features = x.shape
  taps, _, out = kernel.shape
  frames, wide_taps = (time - taps) // stride + 1, -(-taps // stride)
  wide_time = frames + wide_taps - 1
  x = jnp.pad(x, ((0, 0), (0, max(0, wide_time * stride - time)), (0, 0)))
  x = x[:, : wide_time * stride].reshape(batch, wide_time, stride * features)
  kernel = jnp.pad(kernel, ((0, wide_taps * stride - taps), (0, 0), (0, 0)))
  return _convolve(x, kernel.reshape(wide_taps, stride * features, out))


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """`convolve` without a stride.

  XLA's convolution, except where the product of a matrix of patches with the
  kernel has the faster gradient on CPUs: where the kernel outweighs the signal,
  as in the deep layers of a U-net, and where the patches are no larger than the
  signal or hardly so. Elsewhere they would multiply the memory.
  """
  batch, time, features = x.shape
  taps, _, out = kernel.shape
  frames = time - taps + 1
  if taps > 1 and taps * features > _SMALL_PATCH and batch * frames >= out:
    return lax.conv_general_dilated(
      x, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
  patches = [x[:, tap : tap + frames] for tap in range(taps)]
  patches = jnp.concatenate(patches, -1).reshape(batch * frames, -1)
  return (patches @ kernel.reshape(-1, out)).reshape(batch, frames, out)


def convolve_transposed(
  x: jax.Array, kernel: jax.Array, stride: int = 1
) -> jax.Array:
  """Transposed convolution over time: the adjoint of `convolve`.

  Computed as `stride` convolutions side by side, or, where XLA's convolution
  is slow, as a matrix product and an overlap-add of its frames. XLA's own
  transposed convolution has a slow kernel gradient on CPUs.

  Args:
    x: `[batch, time, in]`.
    kernel: `[taps, out, in]`; PyTorch's ConvTranspose1d weight, transposed.
    stride: the output samples between two inputs.

  Returns:
    `[batch, (time - 1) * stride + taps, out]`.
  """
  batch, time, features = x.shape
  taps, out, _ = kernel.shape
  length = (time - 1) * stride + taps
  if stride * out > _SMALL_PATCH and batch * time >= features:
    overlap = -(-taps // stride)
    kernel = jnp.pad(kernel, ((0, overlap * stride - taps), (0, 0), (0, 0)))
    kernel = kernel.reshape(overlap, stride * out, features)
    margin = (overlap - 1, overlap - 1)
    x = jnp.pad(x, ((0, 0), margin, (0, 0)))
    audio = _convolve(x, kernel[::-1].swapaxes(1, 2))
    return audio.reshape(batch, -1, out)[:, :length]
  rows, kernel = x.reshape(batch * time, -1), kernel.reshape(-1, features)
  frames = jnp.dot(rows, kernel.T).reshape(batch, time, taps * out)
  return overlap_add(frames, stride * out).reshape(batch, length, out)


def product(x: jax.Array, kernel: jax.Array, dtype: Any) -> jax.Array:
  """Linear map of the last axis, computed in `dtype`, returned in float32.

  As a product of two matrices: that of an array of more axes has a slower
  gradient on CPUs.

  Args:
    x: `[…, in]`.
    kernel: `[in, out]`.
    dtype: of the factors.

  Returns:
    `[…, out]`.
  """
  result = jnp.dot(
    x.reshape(-1, x.shape[-1]).astype(dtype),
    kernel.astype(dtype),
    preferred_element_type=jnp.float32,
  )
  return result.reshape(*x.shape[:-1], -1)
