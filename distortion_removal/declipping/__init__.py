"""The declippers, by name.

A declipper is a function `(audio, clip_level=None, **options)` of an array
`[batch, time, channels]`. It returns the restored audio and a record of the
work; `clip_level` is explained at `clip_level.resolve_rails`. To add one, write
its module, list it here and give its options in `configs/parts/declippers.py`.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distortion_removal.common.errors import UserError

# Modules below this one, imported when needed: they take JAX with them.
_MODULES = {
  "aspade": "spade",
  "sspade": "spade",
  "social_sparsity": "social_sparsity",
  "janssen": "janssen",
}
DECLIPPERS = tuple(_MODULES)
# Their frames do not know of each other and lie on a grid that begins at the
# first sample: chunks of whole hops are joined exactly.
FRAMEWISE = ("aspade", "sspade", "janssen")


def declipper(name: str) -> Callable[..., tuple[np.ndarray, Any]]:
  """Returns the declipper called `name`, one of `DECLIPPERS`."""
  module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
  return getattr(module, name)


def check_options(
  name: str, options: Mapping[str, Any], clip_level: Any = None
) -> None:
  """Raises UserError if a declipper lacks an option or refuses a value."""
  function = declipper(name)
  for option in options:
    if option not in inspect.signature(function).parameters:
      raise UserError(f"{name} has no option {option}; leave it out")
  # Declippers check everything before they look at the samples: none here.
  function(np.zeros((1, 0, 1)), clip_level, **options)


def check_counts(**counts: Any) -> None:
  """Raises UserError unless all are whole numbers from 1 on."""
  for name, count in counts.items():
    # From 2^24 on float32 skips whole numbers, which some counting relies on.
    if not isinstance(count, int | np.integer) or not 1 <= count <= 1 << 24:
      raise UserError(f"{name} must be a whole number from 1 on, not {count}")


def check_precision(precision: str) -> None:
  """Raises UserError unless it is "float32" or "float64"."""
  if precision not in ("float32", "float64"):
    raise UserError(f"precision {precision!r}; choose float32 or float64")
