"""The BiLSTM against a NumPy loop; test_umx compares it with PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from random_networks import bilstm_by_hand

from distortion_removal.models.recurrence import BiLSTM, recur


def normal(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.standard_normal(shape, np.float32)


@pytest.mark.e2e
def test_gradient_of_the_recurrence_is_its_difference_quotient():
  with jax.enable_x64(True):
    gates = normal(0, 5, 2, 12).astype(np.float64)
    kernel = normal(1, 3, 12).astype(np.float64)
    check_grads(recur, (gates, kernel), order=1, modes=["rev"], rtol=1e-6)


@pytest.mark.e2e
@pytest.mark.parametrize("recurrent_bias", [True, False])
def test_bilstm_by_hand(recurrent_bias):
  model = BiLSTM(5, layers=2, recurrent_bias=recurrent_bias)
  x = normal(0, 2, 7, 3)
  init = jax.jit(model.init_with_output)
  actual, variables = init(jax.random.key(0), x)
  expected = [bilstm_by_hand(recording, variables["params"]) for recording in x]
  np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_initial_weights_are_uniform_within_one_over_root_hidden():
  model = BiLSTM(64)
  init = jax.jit(model.init)
  params = init(jax.random.key(0), np.zeros((1, 1, 32)))["params"]
  for leaf in jax.tree.leaves(params):
    assert np.abs(leaf).max() <= 1 / 8
  kernel = params["layer_0_forward"]["recurrent_kernel"]
  np.testing.assert_allclose(np.std(kernel), 1 / 8 / np.sqrt(3), rtol=0.02)


@pytest.mark.e2e
def test_dropout_hides_the_lower_layer_in_training_only():
  model = BiLSTM(4, layers=2, dropout=1.0)
  x = normal(0, 1, 6, 3)
  init = jax.jit(model.init_with_output)
  actual, variables = init(jax.random.key(0), x)
  rngs = {"dropout": jax.random.key(1)}
  train = jax.jit(lambda: model.apply(variables, x, True, rngs=rngs))()
  upper = {
    name.replace("1", "0"): layer
    for name, layer in variables["params"].items()
    if "1" in name
  }
  blind = jax.jit(BiLSTM(4).apply)({"params": upper}, np.zeros((1, 6, 8)))
  np.testing.assert_allclose(train, blind, atol=1e-6)
  plain = jax.jit(BiLSTM(4, layers=2).apply)(variables, x)
  np.testing.assert_allclose(actual, plain, atol=1e-6)


@pytest.mark.e2e
def test_bfloat16_stays_near_float32_over_many_steps():
  x = normal(0, 1, 400, 8)
  model = BiLSTM(16)
  init = jax.jit(model.init_with_output)
  exact, variables = init(jax.random.key(0), x)
  half = jax.jit(BiLSTM(16, dtype=jnp.bfloat16).apply)(variables, x)
  assert half.dtype == jnp.bfloat16
  np.testing.assert_allclose(half.astype(np.float32), exact, atol=0.02)
