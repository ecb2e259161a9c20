"""Names and shapes of the references' weights, without PyTorch."""

import jax
import numpy as np
import pytest

from distortion_removal.models.demucs import Demucs
from distortion_removal.models.umx import UMX
from third_party import demucs_weights, open_unmix_weights

DEMUCS = Demucs(channels=2, depth=2, lstm_layers=1)
UMX_SIZE = {"stft_size": 6, "stft_hop": 3, "features": 4, "max_bin": 3}
OPEN_UNMIX = UMX(audio_channels=2, lstm_layers=2, **UMX_SIZE)


def distinct_arrays(shapes):
  rng = np.random.default_rng(0)
  return {
    key: np.asarray(rng.random(shape), np.float32)
    for key, shape in shapes.items()
  }


def lstm(prefix, layers, gates, inputs, hidden):
  """Shapes of a `torch.nn.LSTM`."""
  sizes = {"weight_ih": (gates, inputs), "weight_hh": (gates, hidden)}
  sizes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
  return {
    f"{prefix}.{name}_l{layer}{suffix}": size
    for name, size in sizes.items()
    for layer in range(layers)
    for suffix in ("", "_reverse")
  }


def demucs_state(second):
  """Names of version 2 (`second` 2) or 4 (3)."""
  kernels = {
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
  shapes = {f"{key}.weight": shape for key, shape in kernels.items()}
  for key, shape in kernels.items():
    transposed = key.startswith("decoder") and not key.endswith(".0")
    shapes[f"{key}.bias"] = (shape[1] if transposed else shape[0],)
  return distinct_arrays(shapes | lstm("lstm.lstm", 1, 16, 4, 4))


def open_unmix_state():
  """For two channels of 4 bins, with names that need no place."""
  shapes = {"input_mean": (3,), "input_scale": (3,)}
  shapes |= {"output_mean": (4,), "output_scale": (4,)}
  for i, (outputs, inputs) in enumerate([(4, 6), (4, 8), (8, 4)], start=1):
    shapes[f"fc{i}.weight"] = (outputs, inputs)
    for name in ("weight", "bias", "running_mean", "running_var"):
      shapes[f"bn{i}.{name}"] = (outputs,)
    shapes[f"bn{i}.num_batches_tracked"] = ()
  shapes |= {"sample_rate": (), "stft.window": (6,), "transform.0.window": (6,)}
  return distinct_arrays(shapes | lstm("lstm", 2, 8, 4, 2))


def shapes_of(model, channels):
  audio = np.zeros((1, 1, channels), np.float32)
  shapes = jax.eval_shape(model.init, jax.random.key(0), audio)
  return jax.tree.map(np.shape, shapes)


@pytest.mark.parametrize("second", [2, 3])
def test_both_versions_of_demucs_fill_every_parameter(second):
  state = demucs_state(second)
  params = demucs_weights.from_state_dict(state, DEMUCS)
  assert jax.tree.map(np.shape, params) == shapes_of(DEMUCS, 1)["params"]
  backward = params["lstm"]["layer_0_backward"]
  for found, key in (
    (params["encoder_1_rewrite"]["kernel"].T, f"encoder.1.{second}.weight"),
    (params["decoder_0_conv"]["kernel"].T, f"decoder.0.{second}.weight"),
    (backward["recurrent_bias"], "lstm.lstm.bias_hh_l0_reverse"),
  ):
    np.testing.assert_array_equal(found, state[key])


def test_every_variable_of_open_unmix_is_filled():
  state = open_unmix_state()
  variables = open_unmix_weights.from_state_dict(state, OPEN_UNMIX)
  assert jax.tree.map(np.shape, variables) == shapes_of(OPEN_UNMIX, 2)
  params, stats = variables["params"], variables["batch_stats"]
  backward = params["lstm"]["layer_1_backward"]
  for found, key in (
    (params["fc2"]["kernel"].T, "fc2.weight"),
    (params["bn3"]["scale"], "bn3.weight"),
    (params["output_mean"], "output_mean"),
    (stats["bn1"]["var"], "bn1.running_var"),
    (backward["recurrent_kernel"].T, "lstm.weight_hh_l1_reverse"),
    (params["lstm"]["layer_0_forward"]["input_bias"], "lstm.bias_ih_l0"),
  ):
    np.testing.assert_array_equal(found, state[key])
