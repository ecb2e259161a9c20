"""Names and shapes of the weights of openunmix."""

import jax
import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.models.umx import UMX
from third_party.open_unmix_weights import from_state_dict

MODEL = UMX(
  audio_channels=2,
  stft_size=6,
  stft_hop=3,
  features=4,
  lstm_layers=2,
  max_bin=3,
)


def weights():
  """Distinct arrays under openunmix's names, for two channels of 4 bins."""
  shapes = {"input_mean": (3,), "input_scale": (3,)}
  shapes |= {"output_mean": (4,), "output_scale": (4,)}
  for i, (outputs, inputs) in enumerate([(4, 6), (4, 8), (8, 4)], start=1):
    shapes[f"fc{i}.weight"] = (outputs, inputs)
    for name in ("weight", "bias", "running_mean", "running_var"):
      shapes[f"bn{i}.{name}"] = (outputs,)
    shapes[f"bn{i}.num_batches_tracked"] = ()
  for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
    shapes[f"lstm.weight_ih_{suffix}"] = (8, 4)
    shapes[f"lstm.weight_hh_{suffix}"] = (8, 2)
    shapes[f"lstm.bias_ih_{suffix}"] = shapes[f"lstm.bias_hh_{suffix}"] = (8,)
  rng = np.random.default_rng(0)
  return {
    key: np.asarray(rng.random(shape), np.float32)
    for key, shape in shapes.items()
  }


def test_every_variable_is_filled():
  state = weights()
  variables = from_state_dict(state, MODEL)
  audio = np.zeros((1, 1, 2), np.float32)
  shapes = jax.eval_shape(MODEL.init, jax.random.key(0), audio)
  assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, shapes)
  params, stats = variables["params"], variables["batch_stats"]
  for actual, key in (
    (params["fc2"]["kernel"].T, "fc2.weight"),
    (params["bn3"]["scale"], "bn3.weight"),
    (params["output_mean"], "output_mean"),
    (stats["bn1"]["var"], "bn1.running_var"),
    (
      params["lstm"]["layer_1_backward"]["recurrent_kernel"].T,
      "lstm.weight_hh_l1_reverse",
    ),
    (params["lstm"]["layer_0_forward"]["input_bias"], "lstm.bias_ih_l0"),
  ):
    np.testing.assert_array_equal(actual, state[key])


def test_windows_and_rates_in_published_files_are_passed_over():
  extra = {"sample_rate": np.float32(44_100), "stft.window": np.ones(6)}
  extra["transform.0.window"] = np.ones(6)
  actual = from_state_dict(weights() | extra, MODEL)
  expected = from_state_dict(weights(), MODEL)
  jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_weights_of_several_targets_are_refused():
  state = {f"target_models.vocals.{k}": v for k, v in weights().items()}
  with pytest.raises(UserError, match=r"no array 'bn1\.bias'"):
    from_state_dict(state, MODEL)
