"""The relaxed iterative shrinkage of social sparsity.

With D the synthesis of a signal from coefficients c, and y the recording, the
distance of x = D c to what the recording allows is made small:

    1/2 ||y - x||^2 over the reliable samples
      + 1/2 ||rail - x||^2 over those clipped that lie between the two rails

A relaxed iterative shrinkage S does so for one lambda after the other,
starting from the last one's result; r are the differences above, 0 for clipped
samples beyond a rail, even the wrong one:

    c <- S_lambda(z + D* r(D z)),   z <- c + gamma (c - c_previous)

The step is 1, as the frame is a Parseval one: D D* = 1. In the k-th iteration
for a lambda gamma is (k - 1) / (k + 5).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from distortion_removal.declipping.gabor import Gabor
from distortion_removal.declipping.social_sparsity.shrinkage import Shrinkage


class State(NamedTuple):
  """The iteration of a signal; synthesis makes signals of spectra."""

  spectrum: jax.Array  # [frames, bins]
  previous_spectrum: jax.Array
  signal: jax.Array  # [time]
  previous_signal: jax.Array


@functools.partial(jax.jit, static_argnames=("relaxation", "gabor", "shrink"))
def advance(
  low: jax.Array,
  high: jax.Array,
  rails: jax.Array,
  state: State | None,
  lambdas: jax.Array,
  *,
  iterations: int,
  tolerance: float,
  relaxation: float | None,
  gabor: Gabor,
  shrink: Shrinkage,
) -> tuple[State, jax.Array]:
  """Goes on with lambdas; returns `[slots, lambdas]` iterations, too.

  Low and high ends of what is allowed are `[slots, time]`, rails `[slots, 2]`;
  the state is None before the first lambda. A slot whose signal has settled
  waits for the others, unchanged.
  """

  def settle(low, high, rails, state, threshold):
    def is_on(loop):
      state, count = loop
      change = jnp.linalg.norm(state.signal - state.previous_signal)
      return (count == 0) | (count < iterations) & (change >= tolerance)

    def body(loop):
      state, count = loop
      growing = count / (count + 6)
      gamma = growing if relaxation is None else relaxation
      gamma = jnp.asarray(gamma, low.dtype)
      x = state.signal + gamma * (state.signal - state.previous_signal)
      z = state.spectrum + gamma * (state.spectrum - state.previous_spectrum)
      is_drawn = (low == high) | (rails[0] <= x) & (x <= rails[1])
      residual = jnp.where(is_drawn, jnp.clip(x, low, high) - x, 0)
      spectrum = shrink(z + gabor.analysis(residual), threshold)
      signal = gabor.synthesis(spectrum)
      state = State(spectrum, state.spectrum, signal, state.signal)
      return state, count + 1

    return jax.lax.while_loop(is_on, body, (state, 0))

  def start(low, high):
    # From zero, a constant gamma would double the recording at once, and
    # clipped samples would stay there: nothing draws them back to the rail.
    signal = jnp.clip(0, low, high) * (relaxation is not None)
    spectrum = gabor.analysis(signal)
    return State(spectrum, spectrum, signal, signal)

  def solve(low, high, rails, state):
    state = start(low, high) if state is None else state
    go_on = functools.partial(settle, low, high, rails)
    return jax.lax.scan(go_on, state, lambdas)

  if len(low) > 1:
    return jax.vmap(solve)(low, high, rails, state)
  # Without the selection between old and new that a batch needs.
  alone = jax.tree.map(lambda x: x[0], (low, high, rails, state))
  return jax.tree.map(lambda x: x[None], solve(*alone))
