"""Where VGGish's weights are kept, and reading them.

They are converted once, from the published PyTorch file to safetensors, by
`python -m third_party.import_vggish`.
"""

import functools
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.metrics import vggish

COMMAND = "python -m third_party.import_vggish"
_VARIABLE = "VGGISH_WEIGHTS"


def default_path() -> Path:
  """Where the weights are looked for and put.

  `$VGGISH_WEIGHTS`, or else `distortion_removal/vggish.safetensors` in the
  user's cache: `$XDG_CACHE_HOME`, which is `~/.cache` if not set.
  """
  if os.environ.get(_VARIABLE):
    return Path(os.environ[_VARIABLE])
  cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
  return Path(cache) / "distortion_removal" / "vggish.safetensors"


def save(path: Path, variables: Any) -> None:
  """Writes the network's variables, beside and renamed.

  Args:
    path: of the file; its folder is made.
    variables: NumPy arrays, as of `vggish.random_variables`.
  """
  flat = traverse_util.flatten_dict(variables, sep="/")
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  path.parent.mkdir(parents=True, exist_ok=True)
  write_whole(path, safetensors.numpy.save(arrays))


@functools.cache
def load(path: Path) -> Any:
  """Reads the network's variables, once in a process.

  Args:
    path: a file that `save` wrote.

  Returns:
    JAX arrays, on the device.

  Raises:
    UserError: the file is missing, damaged or of another network.
  """
  if not path.is_file():
    raise UserError(
      f"fad and fad_pytorch take VGGish's weights, and {path} is not there; "
      f"run once, in the repository: {COMMAND}"
    )
  try:
    flat = safetensors.numpy.load_file(path)
  except (safetensors.SafetensorError, AttributeError, TypeError) as error:
    raise UserError(f"{path}: damaged ({error}); {COMMAND} mends it") from None
  expected = _shapes(
    traverse_util.flatten_dict(vggish.variable_shapes(), sep="/")
  )
  found = _shapes(flat)
  for name in sorted(expected | found):
    if expected.get(name) != found.get(name):
      raise UserError(
        f"{path}: not VGGish's weights: {name} has shape "
        f"{found.get(name, 'none')}, not {expected.get(name, 'none')}; "
        f"{COMMAND} mends it"
      )
  return jax.device_put(traverse_util.unflatten_dict(flat, sep="/"))


def _shapes(arrays: dict[str, Any]) -> dict[str, tuple[int, ...]]:
  return {name: tuple(array.shape) for name, array in arrays.items()}
