"""State dictionaries come in; nothing in their files is run."""

import pathlib
import struct

import numpy as np
import pytest
import safetensors.numpy

from distortion_removal.common.errors import UserError
from third_party import state_dict

ARRAYS = {
  "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
  "layer.bias": np.ones(2, np.float32),
}


def test_safetensors(tmp_path):
  path = tmp_path / "weights.safetensors"
  safetensors.numpy.save_file(ARRAYS, path)
  found = state_dict.load(path)
  assert found.keys() == ARRAYS.keys()
  for key, value in ARRAYS.items():
    np.testing.assert_array_equal(found[key], value)


def test_files_of_torch(tmp_path):
  torch = pytest.importorskip("torch")
  path = tmp_path / "weights.pth"
  tensors = {key: torch.from_numpy(value) for key, value in ARRAYS.items()}
  # Some files hold parameters, which require gradients.
  tensors["layer.bias"] = torch.nn.Parameter(tensors["layer.bias"])
  torch.save(tensors, path)
  found = state_dict.load(path)
  for key, value in ARRAYS.items():
    np.testing.assert_array_equal(found[key], value)


def test_bfloat16_comes_in_as_float32(tmp_path):
  torch = pytest.importorskip("torch")
  expected = [1.0, 0.15625, -3.0]
  tensors = {"a": torch.tensor(expected, dtype=torch.bfloat16)}
  torch.save(tensors, tmp_path / "half.pth")
  found = state_dict.load(tmp_path / "half.pth")["a"]
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, expected)
  safetensors_torch = pytest.importorskip("safetensors.torch")
  safetensors_torch.save_file(tensors, tmp_path / "half.safetensors")
  found = state_dict.load(tmp_path / "half.safetensors")
  found = state_dict.convert(found, {"b": np.empty(3)}, lambda path: "a")
  assert found["b"].dtype == np.float32
  np.testing.assert_array_equal(found["b"], expected)


def test_types_that_numpy_lacks_are_refused(tmp_path):
  header = b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
  path = tmp_path / "tiny.safetensors"
  path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
  with pytest.raises(UserError, match="float32"):
    state_dict.load(path)


class Trap:
  """Would touch a file when unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
  torch = pytest.importorskip("torch")
  mark = tmp_path / "touched"
  torch.save({"state": Trap(mark)}, tmp_path / "trap.th")
  with pytest.raises(UserError, match=r"trap\.th: .*`model\.state_dict\(\)`"):
    state_dict.load(tmp_path / "trap.th")
  assert not mark.exists()


@pytest.mark.parametrize(
  "content", [b"", b"PK\x03\x04 cut", b"Dear diary", b"\x80\x02}q\x00."]
)
def test_other_files_are_refused_in_one_line(tmp_path, content):
  pytest.importorskip("torch")
  path = tmp_path / "weights.pth"
  path.write_bytes(content)
  with pytest.raises(UserError, match="damaged, or not a plain") as caught:
    state_dict.load(path)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("named", [True, False])
def test_more_than_a_state_dictionary_is_refused(tmp_path, named):
  torch = pytest.importorskip("torch")
  content = {"epoch": 3, "state": {}} if named else {0: torch.zeros(1)}
  torch.save(content, tmp_path / "run.pth")
  with pytest.raises(UserError, match=r"save `model\.state_dict\(\)`"):
    state_dict.load(tmp_path / "run.pth")


def test_missing_and_damaged_files(tmp_path):
  with pytest.raises(UserError, match="no such file"):
    state_dict.load(tmp_path / "none.safetensors")
  path = tmp_path / "bad.safetensors"
  path.write_bytes(b"12345678 not safetensors")
  with pytest.raises(UserError, match="damaged"):
    state_dict.load(path)


SHAPES = {"layer": {"kernel": np.empty((3, 2)), "bias": np.empty(2)}}


def key_of(path):
  return f"{path[0]}.{'weight' if path[1] == 'kernel' else 'bias'}"


def test_conversion_reverses_the_axes():
  found = state_dict.convert(ARRAYS, SHAPES, key_of)
  assert found.keys() == {"layer"}
  np.testing.assert_array_equal(
    found["layer"]["kernel"], [[0, 3], [1, 4], [2, 5]]
  )
  assert found["layer"]["kernel"].flags.c_contiguous
  np.testing.assert_array_equal(found["layer"]["bias"], [1, 1])


def test_only_what_is_ignored_may_be_left_over():
  state = ARRAYS | {"layer.steps": np.zeros(())}
  found = state_dict.convert(state, SHAPES, key_of, ignored=(".steps",))
  assert found["layer"].keys() == {"kernel", "bias"}
  with pytest.raises(UserError, match=r"'layer\.steps'"):
    state_dict.convert(state, SHAPES, key_of)


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    ({"layer.weight": ARRAYS["layer.weight"]}, r"no array 'layer\.bias'"),
    (ARRAYS | {"layer.bias": np.zeros(3)}, r"shape \(3,\).*takes \(2,\)"),
  ],
)
def test_weights_of_another_size_are_refused(changed, message):
  with pytest.raises(UserError, match=message):
    state_dict.convert(changed, SHAPES, key_of)


def test_lstm_keys_are_those_of_torch():
  torch = pytest.importorskip("torch")
  lstm = torch.nn.LSTM(1, 1, num_layers=2, bidirectional=True)
  leaves = [
    f"{kind}_{leaf}"
    for kind in ("input", "recurrent")
    for leaf in ("kernel", "bias")
  ]
  keys = {
    state_dict.lstm_key(f"layer_{i}_{direction}", leaf)
    for i in range(2)
    for direction in ("forward", "backward")
    for leaf in leaves
  }
  assert keys == lstm.state_dict().keys()
  assert state_dict.lstm_key("layer_1_backward", "recurrent_bias") == (
    "bias_hh_l1_reverse"
  )
