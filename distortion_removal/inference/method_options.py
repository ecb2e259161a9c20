"""The options of the command `restore` that are for methods."""

import argparse
import functools
from collections.abc import Callable

from distortion_removal import declipping
from distortion_removal.common.errors import OneLineParser
from distortion_removal.effects.invertible import FAMILY
from distortion_removal.inference.automatic import (
  DECLIPPER,
  INVERSION,
  PRESETS,
)
from distortion_removal.inference.soft_clipping import FIND

AUTO = "auto"
_LARGEST = 1_000_000
# Options of the declippers with another name on the command line.
_FLAGS = {
  "clip_level": "--clip-level",
  "s": "--sparsity-step",
  "r": "--sparsity-every",
}


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


def _knee(text: str) -> float | tuple[float, ...] | str:
  return text if text == FIND else _clip_level(text)


def flag(option: str) -> str:
  """Returns the option of a declipper as it is on the command line."""
  return _FLAGS.get(option, f"--{option}")


def add_to(parser: OneLineParser) -> None:
  """Adds the options of all methods but networks."""
  group = parser.add_argument_group("method without a network")

  def add(option: str, text: str, **how: object) -> None:
    group.add_argument(flag(option), dest=option, help=text, **how)

  _add_choices(add)
  _add_own_options(add)


def _add_choices(add: Callable[..., None]) -> None:
  add(
    "method",
    f"declipper to restore with, or {INVERSION!r}: undoes an overdrive or a "
    "soft clip exactly, where it is certain which it was; default: what the "
    "recording calls for",
    choices=(AUTO, INVERSION, *sorted(declipping.DECLIPPERS)),
  )
  add(
    "preset",
    f"declipper where the method is chosen by itself: {', '.join(PRESETS)}, "
    f"by the time that they take; default: {DECLIPPER}",
    choices=PRESETS,
    metavar="NAME",
  )
  add(
    "effect",
    f"of {INVERSION}: {', '.join(FAMILY)}, with or without settings, such as "
    "overdrive:gain=35,colour=20; default: found from the recording",
    metavar="NAME",
  )
  add(
    "clip_level",
    "amplitude of the clipped peaks, or LOW,HIGH as in --clip-level=-0.2,0.3 "
    "(with the =); default: found from the recording",
    type=_clip_level,
    metavar="LEVEL",
  )
  add(
    "knee",
    "amplitude beyond which the recording is softly clipped or limited, or "
    f"LOW,HIGH, or {FIND!r}; default: what is stays so",
    type=_knee,
    metavar="LEVEL",
  )


def _add_own_options(add: Callable[..., None]) -> None:
  """Adds options that some declippers have, and others refuse."""
  add(
    "frame",
    "samples of a frame; default: follows method and sample rate",
    type=_count,
  )
  add(
    "frames",
    "the mean of the results with each of these frames, such as 4096,8192",
    type=lambda text: tuple(_count(number) for number in text.split(",")),
    metavar="SAMPLES,...",
  )
  add(
    "hop",
    "samples between frames; default: a quarter, for janssen half",
    type=_count,
  )
  add("redundancy", "bins of the DFT for each sample of a frame", type=_count)
  add("s", "coefficients that are let in at a time", type=_count)
  add("r", "iterations after which more are let in", type=_count)
  add(
    "iterations",
    "of nmf, parabola and janssen; of social_sparsity for each lambda",
    type=_count,
  )
  add("rank", "of nmf: templates of the low-rank model, at most", type=_count)
  add("epsilon", "norm of the residual at which a frame is done", type=float)
  add(
    "relative",
    "epsilon (or lambdas) in units of the clip level",
    action="store_const",
    const=True,
  )
  add("shrinkage", "of social_sparsity: lasso, wgl, ew or pew", metavar="NAME")
  add(
    "relaxation",
    "of social_sparsity: a constant one, 0.98 for fewer iterations",
    type=float,
  )
  add("order", "of janssen: samples a prediction looks back", type=_count)
  add(
    "crossfade",
    "of social_sparsity: put reliable samples back, faded over so many",
    type=functools.partial(_count, least=0),
    metavar="SAMPLES",
  )
  add("precision", "of the arithmetic", choices=("float32", "float64"))
