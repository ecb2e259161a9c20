"""Smooth adaptive activation function: a learnt spline for every channel.

L. Hou, D. Samaras, T. M. Kurc, Y. Gao, J. H. Saltz, "ConvNets with Smooth
Adaptive Activation Functions for Regression", AISTATS 2017, with c = 2, i.e.

  f(x) = v_0 + v_1 x + sum_k w_k b_k(x),

where b_k is the box function of segment k, integrated twice from 0. So f is
quadratic in every segment, with second derivative w_k, has a continuous
derivative, and is a straight line outside of the segments.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def _terms(
  x: jax.Array, limit: float, knot: jax.Array, side: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns value and slope of a function with second derivative 2 past `knot`.

  It is 0 up to the knot, a parabola on the far `side` (1: right, -1: left)
  and, past `limit`, the parabola's tangent there.
  """
  inside = jnp.clip(x, -limit, limit)
  past = jnp.maximum(side * (inside - knot), 0)
  return past * (past + 2 * side * (x - inside)), 2 * side * past


def _knots(segments: int, limit: float) -> tuple[np.ndarray, np.ndarray]:
  """Returns the inner break points, and each one's side away from 0."""
  steps = 2 * np.arange(1, segments) - segments
  knots = (limit / segments * steps).astype(np.float32)
  return knots, np.where(steps > 0, np.float32(1), np.float32(-1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _bend(x: jax.Array, jumps: jax.Array, limit: float) -> jax.Array:
  """Adds up one term for every inner break point, of weights `jumps`."""
  return _add_up(x, jumps, limit, 0)


def _add_up(x, jumps, limit, which):
  """Adds up the terms' values (`which` is 0) or slopes (1)."""
  knots = zip(*_knots(len(jumps) + 1, limit), strict=True)
  terms = (_terms(x, limit, *knot)[which] for knot in knots)
  products = (a * b for a, b in zip(jumps, terms, strict=True))
  return sum(products, jnp.zeros_like(x))


def _bend_forward(x, jumps, limit):
  return _bend(x, jumps, limit), (x, jumps)


def _bend_backward(limit, residuals, cotangent):
  """Computes both gradients; automatic ones pass over `x` once for each term.

  68 x 4096 x 32 samples on two cores take 69 ms, automatically 390 ms.
  """
  x, jumps = residuals
  knots, sides = (a[:, None] for a in _knots(len(jumps) + 1, limit))
  # One reduction, into which XLA fuses the terms: they are never stored.
  values, _ = _terms(x[..., None, :], limit, knots, sides)
  values *= cotangent[..., None, :]
  slope = _add_up(x, jumps, limit, 1)
  return cotangent * slope, values.sum(tuple(range(x.ndim - 1)))


_bend.defvjp(_bend_forward, _bend_backward)


def saaf(
  x: jax.Array, polynomial: jax.Array, curvature: jax.Array, limit: float
) -> jax.Array:
  """Applies f to `[..., channels]`, float32; see the module.

  Args:
    x: the input.
    polynomial: v_0 and v_1 of every channel, `[2, channels]`.
    curvature: w_k of every channel, `[segments, channels]`.
    limit: the segments divide [-limit, limit] evenly.
  """
  # The same function, built from 0 outwards: the curvature at 0 everywhere,
  # and at every break point the step to that of the next segment.
  segments = len(curvature)
  middle = curvature[segments // 2]
  jumps = jnp.diff(curvature, axis=0) * _knots(segments, limit)[1][:, None]
  inside = jnp.clip(x, -limit, limit)
  parabola = inside * (2 * x - inside)
  smooth = polynomial[0] + polynomial[1] * x + middle / 2 * parabola
  return smooth + _bend(x, jumps / 2, limit)


class SAAF(nn.Module):
  """`saaf` with its parameters, at first the identity.

  Attributes:
    segments: pieces of the spline; one more break points.
    limit: the segments divide [-limit, limit] evenly.
  """

  segments: int = 24
  limit: float = 1.0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[..., channels]` to the same shape and type, within float32."""
    channels = x.shape[-1]
    polynomial = self.param(
      "polynomial",
      lambda key, shape: jnp.broadcast_to(jnp.array([[0.0], [1.0]]), shape),
      (2, channels),
    )
    curvature = self.param(
      "curvature", nn.initializers.zeros, (self.segments, channels)
    )
    y = saaf(x.astype(jnp.float32), polynomial, curvature, self.limit)
    return y.astype(x.dtype)
