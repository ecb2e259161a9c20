"""How likely a signal is that an effect would have made a recording of.

Undone with wrong settings, music has kinks where the effect clipped, which a
linear prediction from its recent past does not foresee. With e the residual of
that prediction in the signal x, J is the negative log-likelihood of a Laplacian
e whose width follows the music, by the change of variables from x to the
recording y:

    J = mean over blocks of
        (mean over sub-blocks of log(mean |e|) + mean of log(dy / dx))

The second term keeps settings from winning by making x small or smooth.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import invertible
from distortion_removal.effects.invertible import Invertible, Parameters

# Far under the residual of music; keeps digital silence finite.
QUIETEST = 1e-9
# Slope, relative to the scale, below which a curve has lost a sample: without
# it settings would win that put all samples at the rails.
FLATTEST = 1e-3
# Of the energy, added to lag 0: keeps the prediction stable.
_WHITE = 1e-9


class Blocks(NamedTuple):
  """How the signal is cut; lengths in samples.

  Attributes:
    length: of a block.
    margin: what its prediction is fitted to, before and after it.
    part: length of a sub-block, which divides that of a block.
    order: samples that the prediction looks back.
  """

  length: int
  margin: int
  part: int
  order: int


class Cuts(NamedTuple):
  """The blocks of a recording.

  Attributes:
    starts: `[blocks]`, at least max(margin, order) from either end.
    weights: `[blocks]`, the sum 1; 0 for those that only fill up.
  """

  starts: jax.Array
  weights: jax.Array


class Undone(NamedTuple):
  """A recording without an effect, for many settings of it.

  Attributes:
    signal: `[candidates, time]`.
    slope: of the recording by the signal, `[candidates, time]`.
  """

  signal: jax.Array
  slope: jax.Array


@functools.partial(jax.jit, static_argnums=0)
def undo(
  effect: Invertible, audio: jax.Array, parameters: Parameters
) -> Undone:
  """Undoes an effect that began with the audio, with many settings at once.

  Args:
    effect: the effect.
    audio: `[time]` float64.
    parameters: the settings, `[candidates]` each.
  """
  signal = invertible.invert(effect, audio[:, None], parameters)[0].T
  column = Parameters(*(x[:, None] for x in parameters))
  slope = invertible.slope(effect, signal, column)
  return Undone(signal, jnp.maximum(slope, FLATTEST * column.scale))


def as_is(audio: np.ndarray, candidates: int) -> Undone:
  """Takes a recording as clean, as often as there are candidates."""
  signal = jnp.broadcast_to(audio, (candidates, len(audio)))
  return Undone(signal, jnp.ones_like(signal))


@functools.partial(jax.jit, static_argnums=0)
def criterion(blocks: Blocks, undone: Undone, cuts: Cuts) -> jax.Array:
  """Computes J for many settings at once.

  Args:
    blocks: sizes.
    undone: the recording without the effect.
    cuts: where the blocks are.

  Returns:
    `[candidates]`.
  """
  filters = _predict(undone.signal, blocks, cuts.starts)

  def likelihood(item: tuple[jax.Array, jax.Array]) -> jax.Array:
    start, filters = item
    residual = _filter(undone.signal, start, filters, blocks)
    return _log_mean(residual, blocks) + _log_slope(undone, start, blocks)

  return cuts.weights @ jax.lax.map(likelihood, (cuts.starts, filters))


@functools.partial(jax.jit, static_argnums=0)
def residuals(
  blocks: Blocks, undone: Undone, cuts: Cuts
) -> tuple[jax.Array, jax.Array]:
  """Computes what J is made of, under the prediction of the first candidate.

  Arguments: see `criterion`.

  Returns:
    e `[blocks, candidates, length]`, and the mean of log(dy / dx) `[blocks,
    candidates]`.
  """
  filters = _predict(undone.signal[:1], blocks, cuts.starts)

  def both(item: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    start, filters = item
    return (
      _filter(undone.signal, start, filters, blocks),
      _log_slope(undone, start, blocks),
    )

  return jax.lax.map(both, (cuts.starts, filters))


def _predict(signal: jax.Array, blocks: Blocks, starts: jax.Array) -> jax.Array:
  """Returns the filters `[blocks, 1 + order, candidates]`."""
  window_size = blocks.length + 2 * blocks.margin
  window = np.hanning(window_size + 2)[1:-1]
  size = _transform_size(window_size + blocks.order)

  def correlate(start: jax.Array) -> jax.Array:
    cut = _cut(signal, start - blocks.margin, window_size) * window
    spectrum = jnp.fft.rfft(cut, size)
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.fft.irfft(power, size)[:, : blocks.order + 1]

  correlations = jax.lax.map(correlate, starts)
  columns = correlations.reshape(-1, blocks.order + 1).T
  filters = prediction_error_filters(columns)
  return filters.reshape(-1, len(starts), len(signal)).swapaxes(0, 1)


def _filter(
  signal: jax.Array, start: jax.Array, filters: jax.Array, blocks: Blocks
) -> jax.Array:
  """Returns the residual `[candidates, length]` of a block."""
  length, order = blocks.length + blocks.order, blocks.order
  cut = _cut(signal, start - order, length)
  shifted = (cut[:, order - lag : length - lag] for lag in range(order + 1))
  return sum(
    coefficient[:, None] * part
    for coefficient, part in zip(filters, shifted, strict=True)
  )


def _log_mean(residual: jax.Array, blocks: Blocks) -> jax.Array:
  parts = jnp.abs(residual).reshape(len(residual), -1, blocks.part)
  return jnp.log(parts.mean(axis=2) + QUIETEST).mean(axis=1)


def _log_slope(undone: Undone, start: jax.Array, blocks: Blocks) -> jax.Array:
  # Logarithms of products, eight at a time: fewer logarithms.
  slope = _cut(undone.slope, start, blocks.length)
  slope = slope.reshape(len(slope), -1, 8)
  return jnp.log(slope.prod(axis=2)).sum(axis=1) / blocks.length


def prediction_error_filters(correlation: jax.Array) -> jax.Array:
  """Solves the normal equations of linear prediction by Levinson and Durbin.

  Args:
    correlation: `[1 + order, problems]`, at lags from 0 on.

  Returns:
    `[1 + order, problems]`: 1 and the negative predictor, so that the residual
    is their convolution with the signal.
  """
  order = len(correlation) - 1
  correlation = correlation.at[0].multiply(1.0 + _WHITE)
  correlation = correlation.at[0].add(1e-30)
  zeros = jnp.zeros_like(correlation)
  lags = jnp.concatenate([correlation[::-1], zeros])

  def step(index: jax.Array, state: tuple) -> tuple:
    filters, error = state
    # Lag index - j in row j, 0 below.
    ahead = jax.lax.dynamic_slice_in_dim(lags, order - index, order + 1)
    reflection = -(filters * ahead).sum(axis=0) / error
    backwards = jnp.concatenate([filters[::-1], zeros])
    backwards = jax.lax.dynamic_slice_in_dim(
      backwards, order - index, order + 1
    )
    return filters + reflection * backwards, error * (1.0 - reflection**2)

  first = zeros.at[0].set(1.0)
  return jax.lax.fori_loop(1, order + 1, step, (first, correlation[0]))[0]


def _cut(signal: jax.Array, start: jax.Array, length: int) -> jax.Array:
  return jax.lax.dynamic_slice_in_dim(signal, start, length, axis=1)


def _transform_size(least: int) -> int:
  """Rounds up to a size with small factors, fast for an FFT."""
  unit = 2 ** max(1, least.bit_length() - 4)
  return -(-least // unit) * unit
