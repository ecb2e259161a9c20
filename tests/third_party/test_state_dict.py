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


@pytest.fixture
def torch():
  return pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_files_of_safetensors_and_torch(tmp_path, torch, name):
  if name == "weights.pth":
    tensors = {key: torch.from_numpy(value) for key, value in ARRAYS.items()}
    # Some files hold parameters, which require gradients.
    tensors["layer.bias"] = torch.nn.Parameter(tensors["layer.bias"])
    torch.save(tensors, tmp_path / name)
  else:
    safetensors.numpy.save_file(ARRAYS, tmp_path / name)
  found = state_dict.load(tmp_path / name)
  assert found.keys() == ARRAYS.keys()
  for key, value in ARRAYS.items():
    np.testing.assert_array_equal(found[key], value)


def test_bfloat16_comes_in_as_float32(tmp_path, torch):
  expected = [1.0, 0.15625, -3.0]
  tensors = {"a": torch.tensor(expected, dtype=torch.bfloat16)}
  torch.save(tensors, tmp_path / "half.pth")
  safetensors_torch = pytest.importorskip("safetensors.torch")
  safetensors_torch.save_file(tensors, tmp_path / "half.safetensors")
  for suffix in ("pth", "safetensors"):
    found = state_dict.load(tmp_path / f"half.{suffix}")
    found = state_dict.convert(found, {"b": np.empty(3)}, lambda path: "a")
    assert found["b"].dtype == np.float32
    np.testing.assert_array_equal(found["b"], expected)


class Trap:
  """Would touch a file when unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, torch):
  mark = tmp_path / "touched"
  torch.save({"state": Trap(mark)}, tmp_path / "trap.th")
  with pytest.raises(UserError, match=r"trap\.th: .*`model\.state_dict\(\)`"):
    state_dict.load(tmp_path / "trap.th")
  assert not mark.exists()


_F8 = b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("a.pth", b"", "damaged, or not a plain"),
    ("a.pth", b"PK\x03\x04 cut", "damaged, or not a plain"),
    ("a.pth", b"\x80\x02}q\x00.", "damaged, or not a plain"),
    ("a.safetensors", b"12345678 not safetensors", "damaged"),
    ("a.safetensors", struct.pack("<Q", len(_F8)) + _F8 + b"\0", "float32"),
  ],
)
def test_other_files_are_refused_in_one_line(
  tmp_path, torch, name, content, message
):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=message) as caught:
    state_dict.load(tmp_path / name)
  assert "\n" not in str(caught.value)
  with pytest.raises(UserError, match="no such file"):
    state_dict.load(tmp_path / "none.safetensors")


def test_more_than_a_state_dictionary_is_refused(tmp_path, torch):
  torch.save({"epoch": 3, "state": {}}, tmp_path / "run.pth")
  with pytest.raises(UserError, match=r"save `model\.state_dict\(\)`"):
    state_dict.load(tmp_path / "run.pth")


SHAPES = {"layer": {"kernel": np.empty((3, 2)), "bias": np.empty(2)}}


def key_of(path):
  return f"{path[0]}.{'weight' if path[1] == 'kernel' else 'bias'}"


def test_conversion_reverses_the_axes_and_ignores_what_it_may():
  state = ARRAYS | {"layer.steps": np.zeros(())}
  found = state_dict.convert(state, SHAPES, key_of, ignored=(".steps",))
  assert found.keys() == {"layer"}
  kernel = found["layer"].pop("kernel")
  np.testing.assert_array_equal(kernel, [[0, 3], [1, 4], [2, 5]])
  assert kernel.flags.c_contiguous
  np.testing.assert_equal(found["layer"], {"bias": np.ones(2)})


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    ({"layer.weight": ARRAYS["layer.weight"]}, r"no array 'layer\.bias'"),
    (ARRAYS | {"layer.bias": np.zeros(3)}, r"shape \(3,\).*takes \(2,\)"),
    (ARRAYS | {"layer.steps": np.zeros(())}, r"'layer\.steps'"),
  ],
)
def test_weights_of_another_size_are_refused(changed, message):
  with pytest.raises(UserError, match=message):
    state_dict.convert(changed, SHAPES, key_of)
