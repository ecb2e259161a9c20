"""Batch normalisation by NumPy in float64 and over devices; see test_umx."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.models.umx import BatchNorm

FEATURES = 3


def normal(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.fixture
def variables():
  """Parameters and statistics that are all different."""
  rows = 0.5 + np.random.default_rng(5).random((4, FEATURES), np.float32)
  return {
    "params": {"scale": rows[0], "bias": rows[1]},
    "batch_stats": {"mean": rows[2], "var": rows[3]},
  }


def train(model, variables, x):
  y, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])
  return y, updated["batch_stats"]


def expected(variables, x):
  """Training by hand, in float64: the output and the new statistics."""
  rows = x.reshape(-1, FEATURES).astype(np.float64)
  mean, var = rows.mean(0), rows.var(0)
  params, running = variables["params"], variables["batch_stats"]
  y = (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]
  return y, {
    "mean": 0.9 * running["mean"] + 0.1 * mean,
    "var": 0.9 * running["var"] + 0.1 * rows.var(0, ddof=1),
  }


def assert_trees_near(actual, wanted, atol=1e-5):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol),
    actual,
    wanted,
  )


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_training_by_hand(variables, offset):
  """The offset is far beyond the deviation; squares would lose the latter."""
  x = 2 * normal(0, 4, 5, FEATURES) + np.float32(offset)
  # Single precision resolves the offset itself to 3e-5.
  atol = 1e-5 if offset == 0 else 1e-4
  # Computed first, so that a change of `variables` itself would be seen.
  wanted = expected(variables, x)
  actual = train(BatchNorm(), variables, x)
  assert_trees_near(actual, wanted, atol)
  assert_trees_near(train(BatchNorm(), variables, x), actual, 0)


def test_devices_do_together_what_one_does(variables):
  """Output, new statistics and gradient, with one of 8 shards a device."""
  x, weights = normal(0, 8, 2, 5, FEATURES), normal(1, 8, 2, 5, FEATURES)
  # Devices that differ in mean and deviation.
  x = x * np.arange(1, 9).reshape(8, 1, 1, 1) + x[:, :1, :1]

  def loss(model, params, x, weights):
    y, stats = train(model, {**variables, "params": params}, x)
    return (weights * y).sum(), (y, stats)

  def gradients(model):
    return jax.grad(lambda *xs: loss(model, *xs), (0, 1), has_aux=True)

  whole = (a.reshape(-1, *a.shape[2:]) for a in (x, weights))
  alone = jax.jit(gradients(BatchNorm()))(variables["params"], *whole)
  mapped = jax.vmap(
    gradients(BatchNorm(axis_name="batch")), (None, 0, 0), axis_name="batch"
  )
  (of_params, of_x), (y, stats) = jax.jit(mapped)(
    variables["params"], x, weights
  )
  for stat in jax.tree.leaves(stats):
    np.testing.assert_array_equal(stat, np.broadcast_to(stat[0], stat.shape))
  of_params = jax.tree.map(lambda leaf: leaf.sum(0), of_params)
  first = jax.tree.map(lambda leaf: leaf[0], stats)
  flat = [a.reshape(-1, *a.shape[2:]) for a in (of_x, y)]
  assert_trees_near(((of_params, flat[0]), (flat[1], first)), alone, 2e-5)


def test_bfloat16_input_has_float32_statistics(variables):
  x = jnp.asarray(3 + normal(0, 40, 50, FEATURES), jnp.bfloat16)
  y, stats = train(BatchNorm(), variables, x)
  assert y.dtype == jnp.bfloat16
  wanted, wanted_stats = expected(variables, np.asarray(x, np.float32))
  assert_trees_near(stats, wanted_stats)
  np.testing.assert_allclose(y.astype(np.float32), wanted, rtol=4e-3, atol=4e-3)
