"""Building blocks that networks share: convolutions and a BiLSTM.

Each computes what PyTorch's layer of the same name computes, from parameters
whose axes are PyTorch's in reverse order, so that porting weights is `w.T`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

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
  length, overlap = (time - 1) * stride + taps, -(-taps // stride)
  kernel = jnp.pad(kernel, ((0, overlap * stride - taps), (0, 0), (0, 0)))
  if stride * out > _SMALL_PATCH and batch * time >= features:
    kernel = kernel.reshape(overlap, stride * out, features)
    margin = (overlap - 1, overlap - 1)
    x = jnp.pad(x, ((0, 0), margin, (0, 0)))
    audio = _convolve(x, kernel[::-1].swapaxes(1, 2))
    return audio.reshape(batch, -1, out)[:, :length]
  frames = x.reshape(batch * time, -1) @ kernel.reshape(-1, features).T
  frames = frames.reshape(batch, time, overlap, stride * out)
  audio = sum(
    jnp.pad(frames[:, :, i], ((0, 0), (i, overlap - 1 - i), (0, 0)))
    for i in range(overlap)
  )
  return audio.reshape(batch, -1, out)[:, :length]


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
    _rows(x).astype(dtype),
    kernel.astype(dtype),
    preferred_element_type=jnp.float32,
  )
  return result.reshape(*x.shape[:-1], -1)


def _rows(x: jax.Array) -> jax.Array:
  """All axes but the last as one."""
  return x.reshape(-1, x.shape[-1])


def _cell(gates: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Hidden state and cell from the gates and the cell before.

  With sigmoid(x) = (tanh(x / 2) + 1) / 2 one tanh serves all gates, which
  takes half the time of the forward recurrence off on CPUs.
  """
  scale = jnp.repeat(
    jnp.array([0.5, 0.5, 1.0, 0.5], gates.dtype), cell.shape[-1]
  )
  entry, forget, candidate, exit_ = jnp.split(jnp.tanh(scale * gates), 4, -1)
  cell = 0.5 * ((forget + 1) * cell + (entry + 1) * candidate)
  return 0.5 * (exit_ + 1) * jnp.tanh(cell), cell


def _recur(gates: jax.Array, kernel: jax.Array) -> tuple[jax.Array, ...]:
  """Hidden states, complete gates and cells before, of every step."""

  def step(carry, gates):
    hidden, cell = carry
    gates += jnp.dot(hidden, kernel, preferred_element_type=gates.dtype)
    hidden, new_cell = _cell(gates, cell)
    hidden = hidden.astype(kernel.dtype)
    return (hidden, new_cell), (hidden, gates, cell)

  cell = jnp.zeros((gates.shape[1], kernel.shape[0]), gates.dtype)
  return lax.scan(step, (cell.astype(kernel.dtype), cell), gates)[1]


@jax.custom_vjp
def recur(gates: jax.Array, kernel: jax.Array) -> jax.Array:
  """The recurrent part of an LSTM (Hochreiter and Schmidhuber, 1997).

  The kernel's gradient is not summed up inside the scan: the gradient of the
  input projections is that of the gates at every step, so that one product
  over all steps gives it (the gradient above: 1.31 s without this). Nor is
  the kernel transposed there, at every step anew.

  Args:
    gates: input projections with biases, `[time, batch, 4 * hidden]`, float32;
      input, forget, cell and output gate in this order.
    kernel: `[hidden, 4 * hidden]`; its type is that of the products.

  Returns:
    The hidden states `[time, batch, hidden]` in the kernel's type.
  """
  return _recur(gates, kernel)[0]


def _recur_forward(gates, kernel):
  hidden, gates, cells = _recur(gates, kernel)
  return hidden, (hidden, gates, cells, kernel)


def _recur_backward(residuals, cotangent):
  hidden, gates, cells, kernel = residuals
  transposed = kernel.T

  def step(carry, xs):
    hidden, cell = carry
    cotangent, *linearised_at = xs
    _, pull_back = jax.vjp(_cell, *linearised_at)
    gates, cell = pull_back((hidden + cotangent, cell))
    hidden = jnp.dot(
      gates.astype(kernel.dtype), transposed, preferred_element_type=gates.dtype
    )
    return (hidden, cell), gates

  zeros = jnp.zeros_like(cells[0])
  _, gates = lax.scan(
    step, (zeros, zeros), (cotangent, gates, cells), reverse=True
  )
  # The first step starts from zeros and gives the kernel no gradient.
  before, after = hidden[:-1], gates[1:].astype(hidden.dtype)
  kernel = _rows(before).T @ _rows(after)
  return gates, kernel


recur.defvjp(_recur_forward, _recur_backward)


class LSTM(nn.Module):
  """One direction of one layer of a BiLSTM, time-major.

  The parameters, with H = `features` and the gates input, forget, cell,
  output side by side, are PyTorch's: `input_kernel [in, 4H]` = weight_ih.T,
  `recurrent_kernel [H, 4H]` = weight_hh.T, `input_bias [4H]` = bias_ih and,
  if `recurrent_bias`, `recurrent_bias [4H]` = bias_hh.

  Attributes:
    features: hidden size.
    reverse: run from the last step to the first.
    recurrent_bias: keep a second, redundant bias as PyTorch does.
    dtype: type of the matrix products; gates and cell stay float32.
  """

  features: int
  reverse: bool = False
  recurrent_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[time, batch, in]` to `[time, batch, features]`."""
    init = symmetric_uniform(self.features**-0.5)
    width = 4 * self.features
    kernel = self.param("input_kernel", init, (x.shape[-1], width))
    recurrent = self.param("recurrent_kernel", init, (self.features, width))
    bias = self.param("input_bias", init, (width,))
    if self.recurrent_bias:
      bias = bias + self.param("recurrent_bias", init, (width,))
    gates = bias + product(x, kernel, self.dtype)
    gates = jnp.flip(gates, 0) if self.reverse else gates
    hidden = recur(gates, recurrent.astype(self.dtype))
    return jnp.flip(hidden, 0) if self.reverse else hidden


class BiLSTM(nn.Module):
  """Stacked bidirectional LSTM, equal to `torch.nn.LSTM(bidirectional=True)`.

  Parameters of layer i: `layer_i_forward` and `layer_i_backward`, each as in
  `LSTM`. Dropout draws from the `dropout` stream.

  Attributes:
    features: hidden size of one direction.
    layers: number of layers.
    dropout: rate between layers.
    recurrent_bias: see `LSTM`.
    dtype: see `LSTM`.
  """

  features: int
  layers: int = 1
  dropout: float = 0.0
  recurrent_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, in]` to `[batch, time, 2 * features]`."""
    x = x.swapaxes(0, 1)
    for layer in range(self.layers):
      if layer:
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
      directions = [
        LSTM(
          self.features,
          reverse=direction == "backward",
          recurrent_bias=self.recurrent_bias,
          dtype=self.dtype,
          name=f"layer_{layer}_{direction}",
        )(x)
        for direction in ("forward", "backward")
      ]
      x = jnp.concatenate(directions, -1)
    return x.swapaxes(0, 1)
