"""The recurrent layers that networks share: an LSTM and a BiLSTM.

They equal PyTorch's. The parameters' axes are PyTorch's in reverse order, so
that porting weights is `w.T`.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.models.layers import block, product, symmetric_uniform


def _cell(gates: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Computes hidden state and cell from the gates and the previous cell."""
  # With sigmoid(x) = (tanh(x / 2) + 1) / 2 one tanh serves all gates, which
  # halves the time of the forward recurrence on CPUs.
  scale = jnp.repeat(
    jnp.array([0.5, 0.5, 1.0, 0.5], gates.dtype), cell.shape[-1]
  )
  entry, forget, candidate, exit_ = jnp.split(jnp.tanh(scale * gates), 4, -1)
  cell = 0.5 * ((forget + 1) * cell + (entry + 1) * candidate)
  return 0.5 * (exit_ + 1) * jnp.tanh(cell), cell


def _recur(gates: jax.Array, kernel: jax.Array) -> tuple[jax.Array, ...]:
  """Returns every step's hidden state, complete gates and previous cell."""

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
  """Runs the recurrent part of an LSTM (Hochreiter and Schmidhuber, 1997).

  The kernel's gradient is not summed up inside the scan: the gradient of the
  input projections is that of the gates at every step, so that one product
  over all steps gives it (without this the gradient of Demucs 64/6 takes a
  fifth longer).

  Args:
    gates: input projections with biases, `[time, batch, 4 * hidden]`, float32;
      input, forget, cell and output gate in this order.
    kernel: `[hidden, 4 * hidden]`; the products, and the hidden states
      `[time, batch, hidden]` that it returns, have its type.
  """
  return _recur(gates, kernel)[0]


def _recur_forward(gates, kernel):
  computed = _recur(gates, kernel)
  return computed[0], (*computed, kernel)


def _recur_backward(residuals, cotangent):
  hidden, gates, cells, kernel = residuals
  transposed = kernel.T  # Here, and not at every step anew.

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
  before = hidden[:-1].reshape(-1, hidden.shape[-1])
  after = gates[1:].astype(hidden.dtype).reshape(-1, gates.shape[-1])
  return gates, before.T @ after


recur.defvjp(_recur_forward, _recur_backward)


class LSTM(nn.Module):
  """One direction of one layer of a BiLSTM, time-major.

  The parameters, with H = `features` and the gates input, forget, cell,
  output side by side, are PyTorch's: `input_kernel [in, 4H]` = weight_ih.T,
  `recurrent_kernel [H, 4H]` = weight_hh.T, `input_bias [4H]` = bias_ih and,
  if `recurrent_bias`, `recurrent_bias [4H]` = bias_hh.

  Attributes:
    features: hidden size H.
    reverse: runs from the last step to the first.
    recurrent_bias: keeps a second, redundant bias as PyTorch does.
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
    features, recurrent_bias, dtype: those of each `LSTM`.
    layers: number of layers.
    dropout: rate between layers.
    remat: computes each layer again for the gradient, see `layers.block`.
  """

  features: int
  layers: int = 1
  dropout: float = 0.0
  recurrent_bias: bool = True
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, in]` to `[batch, time, 2 * features]`."""
    lstm = functools.partial(
      LSTM, self.features, recurrent_bias=self.recurrent_bias, dtype=self.dtype
    )

    def both_ways(layer):
      def recur_both_ways(_, x):
        forward = lstm(name=f"layer_{layer}_forward")(x)
        backward = lstm(reverse=True, name=f"layer_{layer}_backward")(x)
        return jnp.concatenate([forward, backward], -1)

      return recur_both_ways

    x = x.swapaxes(0, 1)
    for layer in range(self.layers):
      if layer:
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
      x = block(self, both_ways(layer), x)
    return x.swapaxes(0, 1)
