"""Building blocks that networks share: convolutions and products of matrices.

A kernel's axes are those of PyTorch's weight in reverse order, so that porting
weights is `w.T`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.audio.framing import overlap_add
from distortion_removal.common.errors import UserError

# Values of a patch up to which a matrix of patches costs little.
_SMALL_PATCH = 16

# A test of a field's value, and the allowed values in words.
Rule = tuple[Callable[[Any], bool], str]

NOT_NEGATIVE: Rule = (lambda value: value >= 0, "0 or more")
ODD: Rule = (lambda value: value >= 1 and value % 2 == 1, "an odd number")
FRACTION: Rule = (lambda value: 0 <= value < 1, "at least 0 and less than 1")


def one_of(*choices: str) -> Rule:
  """Makes the rule that a field is one of the choices."""
  return choices.__contains__, " or ".join(map(repr, choices))


def check_fields(network: nn.Module, **rules: Rule) -> None:
  """Raises UserError for a field that cannot work, by its rule in `rules`.

  They are applied in order after those of integers without a rule, which must
  be positive.
  """
  names = [field.name for field in dataclasses.fields(network)]
  fields = {name: getattr(network, name) for name in names}
  positive = {
    name: (lambda value: value >= 1, "at least 1")
    for name, value in fields.items()
    if type(value) is int and name not in rules
  }
  for name, (allows, allowed) in (positive | rules).items():
    if not allows(fields[name]):
      raise UserError(
        f"config.model.fields.{name} is {fields[name]!r}; "
        f"{type(network).__name__} takes {allowed}"
      )


def symmetric_uniform(bound: float) -> nn.initializers.Initializer:
  """Makes the initialiser U(-bound, bound), PyTorch's with 1 / sqrt(fan_in)."""

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


def block(
  network: nn.Module, function: Callable[[nn.Module, Any], Any], x: Any
) -> Any:
  """Applies a block of a network: `function` of it and of arrays `x`.

  With `network.remat`, what the block computes inside is not kept for the
  gradient, but computed again when that gets there.
  """
  return (nn.remat(function) if network.remat else function)(network, x)


def centre_trim(x: jax.Array, length: int) -> jax.Array:
  """Returns the middle `length` steps of `[batch, time, channels]`."""
  start = (x.shape[1] - length) // 2
  return x[:, start : start + length]


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """Convolves (cross-correlates) over time without padding.

  Maps `[batch, time, in]` with a kernel `[taps, in, out]`, PyTorch's Conv1d
  weight transposed, to `[batch, (time - taps) // stride + 1, out]`. With a
  stride, that many steps are read as one step of as many times the features,
  because the gradients of XLA's strided convolution are slow on CPUs.
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
  """Convolves without a stride."""
  batch, time, features = x.shape
  taps, _, out = kernel.shape
  frames = time - taps + 1
  # On CPUs the product of a matrix of patches with the kernel has the faster
  # gradient where the kernel outweighs the signal (the deep layers of a U-net),
  # and where patches are hardly larger than the signal. Elsewhere it would
  # multiply the memory.
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
  """Applies the adjoint of `convolve`, a transposed convolution over time.

  Maps `[batch, time, in]` with a kernel `[taps, out, in]`, PyTorch's
  ConvTranspose1d weight transposed, to `[batch, (time - 1) * stride + taps,
  out]`. It is computed as `stride` convolutions side by side or, where XLA's
  convolution is slow, as a matrix product and an overlap-add of its frames:
  XLA's own transposed convolution has a slow kernel gradient on CPUs.
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
  """Maps `[…, in]` by `[in, out]`; multiplies in `dtype`, adds in float32."""
  # The product of an array with more axes has a slower gradient on CPUs.
  result = jnp.dot(
    x.reshape(-1, x.shape[-1]).astype(dtype),
    kernel.astype(dtype),
    preferred_element_type=jnp.float32,
  )
  return result.reshape(*x.shape[:-1], -1)
