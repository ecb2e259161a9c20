"""State dictionaries come in; nothing in their files is run."""

import pathlib

import numpy as np
import pytest
import safetensors.numpy

from distortion_removal.errors import UserError
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
  torch.save(tensors, path)
  found = state_dict.load(path)
  for key, value in ARRAYS.items():
    np.testing.assert_array_equal(found[key], value)


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
  with pytest.raises(UserError, match="nothing else is unpickled") as caught:
    state_dict.load(tmp_path / "trap.th")
  assert "\n" not in str(caught.value)
  assert not mark.exists()


def test_more_than_a_state_dictionary_is_refused(tmp_path):
  torch = pytest.importorskip("torch")
  torch.save({"epoch": 3, "state": {}}, tmp_path / "run.pth")
  with pytest.raises(UserError, match=r"save `model\.state_dict\(\)`"):
    state_dict.load(tmp_path / "run.pth")


def test_missing_and_damaged_files_are_told(tmp_path):
  with pytest.raises(UserError, match="no such file"):
    state_dict.load(tmp_path / "none.safetensors")
  path = tmp_path / "bad.safetensors"
  path.write_bytes(b"12345678 not safetensors")
  with pytest.raises(UserError, match="damaged"):
    state_dict.load(path)
