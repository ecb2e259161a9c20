"""The declippers, by name.

A declipper is a function `(audio, clip_level=None, **options)` of an array
`[batch, time, channels]`. It returns the restored audio and a record of the
work; `clip_level` is explained at `clip_level.resolve_rails`. It counts in
samples and does not know their rate: its defaults are for 16 kHz, and
`options_at` has those for any rate. To add one, write its module, list it here
and give its options in `configs/parts/declippers.py`.
"""

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.means import with_means

# Modules below this one, imported when needed: they take JAX with them.
_MODULES = {
  "aspade": "spade",
  "sspade": "spade",
  "social_sparsity": "social_sparsity",
  "parabola": "parabola",
  "nmf": "nmf",
  "janssen": "janssen",
  # Means of the others, by the time that they take.
  "fast": "fusion",
  "normal": "fusion",
  "best": "fusion",
}
DECLIPPERS = tuple(_MODULES)
# Options that follow the sample rate, by the rate in Hz they are meant for. The
# sparse methods have those of Imort et al. 2022 and Záviška et al. 2021.
_SPADE = {16_000: {"frame": 1024, "r": 1}, 44_100: {"frame": 8192, "r": 2}}
_FUSION = {16_000: {"frame": 4096}, 44_100: {"frame": 8192}}
_OPTIONS_AT = {
  "fast": _FUSION,
  "normal": _FUSION,
  "best": _FUSION,
  "aspade": _SPADE,
  "sspade": _SPADE,
  "social_sparsity": {16_000: {"frame": 1024}, 44_100: {"frame": 8192}},
  "parabola": {16_000: {"frame": 2048}, 44_100: {"frame": 8192}},
  "nmf": {16_000: {"frame": 2048}, 44_100: {"frame": 4096}},
  "janssen": {
    16_000: {"frame": 4096, "order": 256},
    44_100: {"frame": 8192, "order": 512},
  },
}
# Frames of which each sample is in two; of the other methods, in four.
_HALF_OVERLAPPING = ("janssen",)
# Their frames do not know of each other and lie on a grid that begins at the
# first sample: chunks of whole hops are joined exactly.
FRAMEWISE = ("aspade", "sspade", "janssen")


@functools.cache
def declipper(name: str) -> Callable[..., tuple[np.ndarray, Any]]:
  """Returns the declipper called `name`, one of `DECLIPPERS`.

  It has the option `frames`, see `with_means`.
  """
  module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
  return with_means(getattr(module, name))


def options_at(name: str, sample_rate: int) -> dict[str, int]:
  """Returns a declipper's options for a sample rate in Hz.

  They are those of the nearer of the rates at which they were chosen, with the
  frame (and order) doubled or halved for each octave beyond, and the usual hop.
  """

  def octaves(rate: int) -> float:
    return math.log2(sample_rate / rate)

  rate, options = min(
    _OPTIONS_AT[name].items(), key=lambda item: abs(octaves(item[0]))
  )
  frame = max(16, round(options["frame"] * 2 ** round(octaves(rate))))
  if "order" in options:
    order = max(1, options["order"] * frame // options["frame"])
    options = options | {"order": order}
  return options | {"frame": frame, "hop": usual_hop(name, frame)}


def usual_hop(name: str, frame: int) -> int:
  """Returns the hop that a declipper's frame has unless one is given."""
  return max(1, frame // (2 if name in _HALF_OVERLAPPING else 4))


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
