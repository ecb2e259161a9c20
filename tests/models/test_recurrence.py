"""The BiLSTM against a NumPy loop and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

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


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def lstm_by_hand(x, parameters):
  """One direction in float64: `[time, in]` to `[time, hidden]`."""
  w = {key: np.asarray(value, np.float64) for key, value in parameters.items()}
  hidden = cell = np.zeros(w["recurrent_kernel"].shape[0])
  outputs = []
  for frame in x:
    gates = frame @ w["input_kernel"] + hidden @ w["recurrent_kernel"]
    gates = gates + w["input_bias"] + w.get("recurrent_bias", 0)
    i, f, g, o = np.split(gates, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    outputs.append(hidden)
  return np.array(outputs)


@pytest.mark.e2e
@pytest.mark.parametrize("recurrent_bias", [True, False])
def test_bilstm_by_hand(recurrent_bias):
  model = BiLSTM(5, layers=2, recurrent_bias=recurrent_bias)
  x = normal(0, 2, 7, 3)
  init = jax.jit(model.init_with_output)
  actual, variables = init(jax.random.key(0), x)
  for b in range(2):
    y = x[b]
    for layer in range(2):
      parameters = [
        variables["params"][f"layer_{layer}_{direction}"]
        for direction in ("forward", "backward")
      ]
      ahead = lstm_by_hand(y, parameters[0])
      back = lstm_by_hand(y[::-1], parameters[1])[::-1]
      y = np.concatenate([ahead, back], -1)
    np.testing.assert_allclose(actual[b], y, atol=1e-6)


@pytest.mark.e2e
def test_torch_agrees_in_value_and_gradient():
  torch = pytest.importorskip("torch", reason="PyTorch is not installed")
  torch.manual_seed(0)
  reference = torch.nn.LSTM(
    4, 16, num_layers=3, bidirectional=True, batch_first=True
  )
  x, cotangent = normal(0, 2, 20, 4), normal(1, 2, 20, 32)
  y = reference(torch.from_numpy(x))[0]
  (y * torch.from_numpy(cotangent)).sum().backward()

  def port(read):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ours = ("input_kernel", "recurrent_kernel", "input_bias", "recurrent_bias")
    return {
      f"layer_{layer}_{direction}": {
        our: read(getattr(reference, f"{name}_l{layer}{suffix}")).T
        for our, name in zip(ours, names, strict=True)
      }
      for layer in range(3)
      for direction, suffix in (("forward", ""), ("backward", "_reverse"))
    }

  params = port(lambda w: w.detach().numpy())
  model = BiLSTM(16, layers=3)

  def inner_product(params):
    actual = model.apply({"params": params}, x)
    return (actual * cotangent).sum(), actual

  gradient, actual = jax.jit(jax.grad(inner_product, has_aux=True))(params)
  np.testing.assert_allclose(actual, y.detach().numpy(), atol=1e-6)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    gradient,
    port(lambda w: w.grad.numpy()),
  )


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
