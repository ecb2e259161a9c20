"""Reads PyTorch state dictionaries without running what is in them."""

from pathlib import Path

import numpy as np

from distortion_removal.errors import UserError


def load(path: Path) -> dict[str, np.ndarray]:
  """Reads a state dictionary as NumPy arrays.

  Args:
    path: safetensors, or a file of `torch.save`, for which PyTorch must be
      installed and which its `weights_only` loader must accept.

  Raises:
    UserError: the file is missing or damaged, is more than a state
      dictionary, or PyTorch is needed and missing.
  """
  if not path.is_file():
    raise UserError(f"{path}: no such file")
  if path.suffix == ".safetensors":
    import safetensors
    import safetensors.numpy

    try:
      return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
      raise UserError(f"{path}: damaged ({error})") from None
  try:
    import torch
  except ImportError:
    raise UserError(
      f"{path}: reading it takes PyTorch (pip install torch), or convert it to "
      "safetensors"
    ) from None
  return _load_torch(path, torch)


def _load_torch(path: Path, torch) -> dict[str, np.ndarray]:
  try:
    state = torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:
    # Its message is pages long; its first line tells enough.
    reason = str(error).strip().splitlines()[0]
    raise UserError(
      f"{path}: not a plain state dictionary, and nothing else is unpickled "
      f"here ({reason}); save `model.state_dict()`"
    ) from None
  if not isinstance(state, dict) or not all(
    isinstance(value, torch.Tensor) for value in state.values()
  ):
    raise UserError(
      f"{path}: not a plain state dictionary; save `model.state_dict()`"
    )
  return {key: value.numpy() for key, value in state.items()}
