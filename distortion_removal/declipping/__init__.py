"""The declippers, listed by name.

A declipper is a function `(audio, clip_level=None, **options)` of arrays
`[batch, time, channels]` to the restored audio and a record of the work; see
`declipping.clip_level` for the level.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distortion_removal.common.errors import UserError

_MODULES = {
  "aspade": "spade.aspade",
  "sspade": "spade.sspade",
  "social_sparsity": "social_sparsity",
}
DECLIPPERS = tuple(_MODULES)


def declipper(name: str) -> Callable[..., tuple[np.ndarray, Any]]:
  """Returns the declipper called `name`, one of `DECLIPPERS`."""
  module = f"distortion_removal.declipping.{_MODULES[name]}"
  return getattr(importlib.import_module(module), name)


def check_options(
  name: str, options: Mapping[str, Any], clip_level: Any = None
) -> None:
  """Checks the options of the declipper called `name`, without any work.

  Raises:
    UserError: it has no such option, or cannot work with one or the level.
  """
  function = declipper(name)
  for option in options:
    if option not in inspect.signature(function).parameters:
      raise UserError(f"{name} has no option {option}; leave it out")
  # No samples: all that this does is to check.
  function(np.zeros((1, 0, 1)), clip_level, **options)
