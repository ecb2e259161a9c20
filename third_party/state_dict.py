"""PyTorch state dictionaries: read without running their code, and renamed."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from distortion_removal.common.errors import UserError

_LSTM = {
  "input_kernel": "weight_ih",
  "recurrent_kernel": "weight_hh",
  "input_bias": "bias_ih",
  "recurrent_bias": "bias_hh",
}


def lstm_key(layer: str, leaf: str) -> str:
  """Returns the name in `torch.nn.LSTM` of a parameter of our LSTM.

  Args:
    layer: "layer_0_forward" and the like.
    leaf: "input_kernel", "recurrent_kernel", "input_bias" or "recurrent_bias".
  """
  _, index, direction = layer.split("_")
  suffix = "_reverse" if direction == "backward" else ""
  return f"{_LSTM[leaf]}_l{index}{suffix}"


def convert(
  state: Mapping[str, np.ndarray],
  shapes: Mapping[str, Any],
  key_of: Callable[[tuple[str, ...]], str],
  *,
  ignored: Collection[str] = (),
) -> dict[str, Any]:
  """Fills a tree of variables; our axes are PyTorch's in reverse order.

  Args:
    state: `{name: tensor.numpy()}` of PyTorch's `state_dict()`.
    shapes: the tree, whose leaves have a shape.
    key_of: function of a variable's path in the tree to its name in PyTorch.
    ignored: endings of the names that need no place in the tree.

  Returns:
    A tree of float32 arrays like `shapes`.

  Raises:
    UserError: an array is missing, left over or of another shape.
  """
  flat = traverse_util.flatten_dict(shapes)
  places = {key_of(path): path for path in flat}
  for key in sorted(places.keys() - state.keys()):
    raise UserError(f"weights have no array {key!r}; is the size the model's?")
  for key in sorted(state.keys() - places.keys()):
    if not key.endswith(tuple(ignored)):
      raise UserError(f"weights have {key!r}, for which the model has no place")
  arrays = {}
  for key, path in sorted(places.items()):
    given, expected = state[key].shape, flat[path].shape[::-1]
    if given != expected:
      raise UserError(
        f"weights have {key!r} of shape {given}, the model takes {expected}; "
        "is the size the model's?"
      )
    arrays[path] = np.ascontiguousarray(state[key].T, np.float32)
  return traverse_util.unflatten_dict(arrays)


def load(path: Path) -> dict[str, np.ndarray]:
  """Reads a state dictionary as NumPy arrays.

  Args:
    path: safetensors, or a file of `torch.save` that PyTorch, which must be
      installed, accepts with `weights_only`.
  """
  if not path.is_file():
    raise UserError(f"{path}: no such file")
  if path.suffix == ".safetensors":
    return _load_safetensors(path)
  try:
    import torch
  except ImportError:
    raise UserError(
      f"{path}: reading it takes PyTorch (pip install torch), or convert it to "
      "safetensors"
    ) from None
  return _load_torch(path, torch)


def _load_safetensors(path: Path) -> dict[str, np.ndarray]:
  import safetensors
  import safetensors.numpy

  try:
    return safetensors.numpy.load_file(path)
  except safetensors.SafetensorError as error:
    raise UserError(f"{path}: damaged ({error})") from None
  except (AttributeError, TypeError) as error:
    raise UserError(
      f"{path}: numbers of a type unknown to NumPy ({error}); save float32"
    ) from None


def _load_torch(path: Path, torch) -> dict[str, np.ndarray]:
  with path.open("rb") as file:
    try:
      state = torch.load(file, map_location="cpu", weights_only=True)
      # NumPy has no bfloat16, and takes no part in gradients.
      return {k: v.detach().float().numpy() for k, v in state.items()}
    except Exception:
      # Of many types, with long advice on how to run the code in the file.
      raise UserError(
        f"{path}: damaged, or not a plain state dictionary, and nothing else "
        "is unpickled here; save `model.state_dict()`"
      ) from None
