"""Convolutions against SciPy, products of matrices against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from distortion_removal.models.layers import (
  convolve,
  convolve_transposed,
  product,
)

# Kernels that are a multiple of the stride, are not, and fall short of it.
SIZES = [(8, 4), (3, 1), (1, 1), (7, 3), (2, 3)]


def normal(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.standard_normal(shape, np.float32)


@pytest.mark.parametrize(("taps", "stride"), SIZES)
@pytest.mark.parametrize("out", [2, 64])
def test_convolve_is_scipys_correlation(taps, stride, out):
  """`out` 2 takes XLA's convolution, 64 the product with the patches."""
  x, kernel = normal(0, 2, 33, 3), normal(1, taps, 3, out)
  expected = np.stack(
    [
      sum(
        scipy.signal.correlate(x[b, :, i], kernel[:, i, o], "valid")
        for i in range(3)
      )[::stride]
      for b in range(2)
      for o in range(out)
    ]
  )
  expected = expected.reshape(2, out, -1).swapaxes(1, 2)
  actual = convolve(x, kernel, stride)
  np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize(("taps", "stride"), SIZES)
@pytest.mark.parametrize("out", [3, 24])
def test_convolve_transposed_is_the_adjoint_of_convolve(taps, stride, out):
  """`out` 3 takes the overlap-add, 24 XLA's convolution or patches."""
  frames, time = 9, 8 * stride + taps
  x, kernel = normal(0, 2, time, out), normal(1, taps, out, 4)
  y = normal(2, 2, frames, 4)
  adjoint = convolve_transposed(y, kernel, stride)
  _, pull_back = jax.vjp(lambda x: convolve(x, kernel, stride), x)
  np.testing.assert_allclose(adjoint, pull_back(y)[0], atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_product_adds_up_in_float32_what_it_multiplies_in_its_type(dtype):
  x, kernel = normal(0, 2, 3, 100), normal(1, 100, 4)
  actual = product(x, kernel, dtype)
  assert actual.dtype == np.float32
  x, kernel = (np.asarray(a, dtype).astype(np.float64) for a in (x, kernel))
  np.testing.assert_allclose(actual, x @ kernel, atol=2e-5)
