"""Names and shapes of the reference's weights."""

import jax
import numpy as np
import pytest

from distortion_removal.models.demucs import Demucs
from third_party.demucs_weights import from_state_dict

MODEL = Demucs(channels=2, depth=2, lstm_layers=1)


def weights(second):
  """Distinct arrays under the names of version 2 (`second` 2) or 4 (3)."""
  shapes = {
    "encoder.0.0": (2, 1, 8),
    f"encoder.0.{second}": (4, 2, 1),
    "encoder.1.0": (4, 2, 8),
    f"encoder.1.{second}": (8, 4, 1),
    "decoder.0.0": (8, 4, 3),
    f"decoder.0.{second}": (4, 2, 8),
    "decoder.1.0": (4, 2, 3),
    f"decoder.1.{second}": (2, 1, 8),
    "lstm.linear": (4, 8),
  }
  state = {f"{key}.weight": shape for key, shape in shapes.items()}
  for key, shape in shapes.items():
    transposed = key.startswith("decoder") and not key.endswith(".0")
    state[f"{key}.bias"] = (shape[1] if transposed else shape[0],)
  for suffix in ("", "_reverse"):
    for name in ("weight_ih_l0", "weight_hh_l0"):
      state[f"lstm.lstm.{name}{suffix}"] = (16, 4)
    for name in ("bias_ih_l0", "bias_hh_l0"):
      state[f"lstm.lstm.{name}{suffix}"] = (16,)
  rng = np.random.default_rng(0)
  return {key: rng.random(shape, np.float32) for key, shape in state.items()}


@pytest.mark.parametrize("second", [2, 3])
def test_both_versions_fill_every_parameter(second):
  state = weights(second)
  params = from_state_dict(state, MODEL)
  shapes = jax.eval_shape(MODEL.init, jax.random.key(0), np.zeros((1, 1, 1)))
  assert jax.tree.map(np.shape, params) == jax.tree.map(
    np.shape, shapes["params"]
  )
  np.testing.assert_array_equal(
    params["encoder_1_rewrite"]["kernel"][0],
    state[f"encoder.1.{second}.weight"][:, :, 0].T,
  )
  np.testing.assert_array_equal(
    params["decoder_0_conv"]["kernel"][5],
    state[f"decoder.0.{second}.weight"][:, :, 5].T,
  )
  np.testing.assert_array_equal(
    params["lstm"]["layer_0_backward"]["recurrent_bias"],
    state["lstm.lstm.bias_hh_l0_reverse"],
  )
