"""The smooth adaptive activation against its integrals, done numerically."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from distortion_removal.models.saaf import SAAF
from distortion_removal.models.saaf import saaf as eager_saaf

LIMIT = 0.8
saaf = jax.jit(eager_saaf, static_argnums=3)
# At, between and outside of the break points.
POINTS = np.concatenate([np.linspace(-1, 1, 26), [-0.8, 0.8, 3.0, -20.0]])


def integrals(x, segments):
  """b_k(x) and its derivative, `[segments]` each, by quadrature in float64.

  The box of segment k integrated twice from 0 is, by Cauchy's formula,
  the integral of (x - u) box(u) from 0 to x.
  """
  edges = np.linspace(-LIMIT, LIMIT, segments + 1)
  values, slopes = [], []
  for left, right in itertools.pairwise(edges):
    # The part of the box between 0 and x, counted as an integral is.
    start, end = np.clip([min(0, x), max(0, x)], left, right)
    sign = np.sign(x)
    values.append(sign * scipy.integrate.quad(lambda u: x - u, start, end)[0])
    slopes.append(sign * scipy.integrate.quad(lambda u: 1.0, start, end)[0])
  return np.array(values), np.array(slopes)


def parameters(segments, channels=2):
  rng = np.random.default_rng(segments)
  polynomial = rng.standard_normal((2, channels)).astype(np.float32)
  curvature = 3 * rng.standard_normal((segments, channels))
  return polynomial, curvature.astype(np.float32)


@pytest.mark.parametrize("segments", [1, 2, 5, 24])
def test_value_and_gradients_are_those_of_the_integrals(segments):
  polynomial, curvature = parameters(segments)
  x = np.stack([POINTS, -POINTS[::-1]], -1).astype(np.float32)
  weights = np.cos(np.arange(x.size)).reshape(x.shape).astype(np.float32)

  def total(x, polynomial, curvature):
    y = saaf(x, polynomial, curvature, LIMIT)
    return (weights * y).sum(), y

  gradient = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))
  (dx, d_polynomial, d_curvature), y = gradient(x, polynomial, curvature)
  both = [[integrals(float(v), segments) for v in row] for row in x]
  values, slopes = np.moveaxis(both, 2, 0)  # Each [points, channels, segments].
  bend = np.einsum("pck,kc->pc", values, curvature)
  expected = polynomial[0] + polynomial[1] * x + bend
  scale = np.abs(x).max() ** 2
  np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
  expected = polynomial[1] + np.einsum("pck,kc->pc", slopes, curvature)
  np.testing.assert_allclose(dx, weights * expected, atol=1e-5)
  expected = [weights.sum(0), (weights * x).sum(0)]
  np.testing.assert_allclose(d_polynomial, expected, atol=1e-5)
  expected = np.einsum("pc,pck->kc", weights, values)
  np.testing.assert_allclose(d_curvature, expected, atol=1e-6 * scale)


def test_it_begins_as_the_identity_in_the_type_of_its_input():
  layer = SAAF(segments=24, limit=0.2)
  x = jnp.linspace(-1, 1, 12).reshape(2, 3, 2)
  y, variables = jax.jit(layer.init_with_output)(jax.random.key(0), x)
  np.testing.assert_allclose(y, x, atol=1e-7)
  shapes = {k: v.shape for k, v in variables["params"].items()}
  assert shapes == {"polynomial": (2, 2), "curvature": (24, 2)}
  half = x.astype(jnp.bfloat16)
  assert jax.eval_shape(layer.apply, variables, half).dtype == jnp.bfloat16
