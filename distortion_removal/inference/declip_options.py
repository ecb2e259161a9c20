"""The declippers' options on the command line of `restore`."""

import argparse
import functools
import inspect
from typing import Any

from distortion_removal import declipping
from distortion_removal.common.errors import UserError

_LARGEST = 1_000_000


def _count(text: str, least: int = 1) -> int:
  if not text.isdecimal() or not least <= int(text) <= _LARGEST:
    raise argparse.ArgumentTypeError(
      f"{text!r} is not a whole number from {least} to {_LARGEST}"
    )
  return int(text)


def _clip_level(text: str) -> float | tuple[float, ...]:
  try:
    *low, high = (float(level) for level in text.split(","))
  except ValueError:
    low = [0.0] * 2
  if len(low) > 1:
    raise argparse.ArgumentTypeError(
      f"{text!r} is neither a number nor two, LOW,HIGH"
    )
  return (*low, high) if low else high


# Keyword of the declippers: the flag, and what argparse makes of it.
_FLAGS = {
  "clip_level": (
    "--clip-level",
    {
      "type": _clip_level,
      "metavar": "LEVEL",
      "help": "amplitude of the clipped peaks, or LOW,HIGH as in "
      "--clip-level=-0.2,0.3 (with the =); default: found from the recording",
    },
  ),
  "frame": (
    "--frame",
    {"type": _count, "help": "samples of a frame, such as 8192 at 44.1 kHz"},
  ),
  "hop": (
    "--hop",
    {"type": _count, "help": "samples between frames; default: a quarter"},
  ),
  "redundancy": (
    "--redundancy",
    {"type": _count, "help": "bins of the DFT for each sample of a frame"},
  ),
  "s": (
    "--sparsity-step",
    {"type": _count, "help": "coefficients that are let in at a time"},
  ),
  "r": (
    "--sparsity-every",
    {"type": _count, "help": "iterations after which more are let in"},
  ),
  "epsilon": (
    "--epsilon",
    {"type": float, "help": "norm of the residual at which a frame is done"},
  ),
  "relative": (
    "--relative",
    {
      "action": "store_const",
      "const": True,
      "help": "epsilon (or lambdas) in units of the clip level",
    },
  ),
  "shrinkage": (
    "--shrinkage",
    {"metavar": "NAME", "help": "lasso, wgl, ew or pew, of social_sparsity"},
  ),
  "crossfade": (
    "--crossfade",
    {
      "type": functools.partial(_count, least=0),
      "metavar": "SAMPLES",
      "help": "of social_sparsity: put reliable samples back, faded over so "
      "many",
    },
  ),
  "precision": (
    "--precision",
    {"choices": ("float32", "float64"), "help": "of the arithmetic"},
  ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds --method and its options; what is not given is None."""
  group = parser.add_argument_group("declipping without a network")
  group.add_argument(
    "--method",
    choices=sorted(declipping.DECLIPPERS),
    help="declipper to restore with",
  )
  for name, (flag, how) in _FLAGS.items():
    group.add_argument(flag, dest=name, **how)


def flag(name: str) -> str:
  """The flag of a declipper's option."""
  return _FLAGS[name][0]


def complete(method: str, given: dict[str, Any]) -> dict[str, Any]:
  """All options of a declipper: those given, and its own defaults.

  Args:
    method: name of the declipper.
    given: options by keyword; hop follows frame where it is not among them.

  Raises:
    UserError: the declipper has no such option.
  """
  parameters = inspect.signature(declipping.declipper(method)).parameters
  known = {
    name: parameter.default
    for name, parameter in parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
  }
  for name in given:
    if name not in known:
      raise UserError(f"{method} has no option {flag(name)}; leave it out")
  if "frame" in given and "hop" not in given:
    given = given | {"hop": max(1, given["frame"] // 4)}
  return known | given
