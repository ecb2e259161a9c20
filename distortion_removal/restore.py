"""Restores one recording: `python -m distortion_removal.restore IN -o OUT`.

What the recording calls for is chosen, see `inference.automatic`: a declipper,
see `inference.declip`, or the inverse of an effect, see `inference.inversion`.
`--method` names one; with `--model` a trained network does it, see
`inference.restoration`; `--list-models` names those that come with the package.
IN and OUT may be pipes, or "-".
"""

import argparse
import functools
import inspect
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import soundfile

from distortion_removal import declipping
from distortion_removal.audio import files
from distortion_removal.common import devices, log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import one_line
from distortion_removal.effects.invertible import FAMILY
from distortion_removal.inference import automatic, inversion
from distortion_removal.inference.automatic import DECLIPPER, INVERSION
from distortion_removal.inference.declip import declip_file
from distortion_removal.inference.restoration import restore_file
from distortion_removal.inference.soft_clipping import FIND
from distortion_removal.training import shipped

_LARGEST = 1_000_000
_AUTO = "auto"
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


class _ListModels(argparse.Action):
  """Names the models that come with the package, and exits."""

  def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
    log.say(shipped.describe())
    parser.exit()


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.restore",
    description="Takes the distortion out of a recording.",
  )
  add = parser.add_argument
  add("input", type=Path, nargs="+", help="recording to restore; - is stdin")
  add(
    "-o",
    "--output",
    type=Path,
    required=True,
    help="file to write; - is stdout, which gets a WAV",
  )
  add(
    "-n",
    "--model",
    metavar="NAME",
    help="network to restore with: a model that comes with the package, the "
    "folder of a trained run, or a .safetensors file",
  )
  add(
    "--list-models",
    action=_ListModels,
    nargs=0,
    default=argparse.SUPPRESS,
    help="list the models that come with the package, and exit",
  )
  add(
    "--subtype",
    choices=sorted(soundfile.available_subtypes()),
    metavar="FORMAT",
    help="sample format of the result, such as PCM_24; default: the input's",
  )
  add(
    "--dither",
    action="store_const",
    const=True,
    help="add triangular noise of ±1 code before rounding to an integer format",
  )
  _add_declipping(parser)
  return parser


def _add_declipping(parser: OneLineParser) -> None:
  group = parser.add_argument_group("declipping without a network")

  def add(option: str, text: str, **how: object) -> None:
    group.add_argument(_flag(option), dest=option, help=text, **how)

  add(
    "method",
    f"declipper to restore with, or {INVERSION!r}: undoes an overdrive or a "
    "soft clip exactly, where it is certain which it was; default: what the "
    "recording calls for",
    choices=(_AUTO, INVERSION, *sorted(declipping.DECLIPPERS)),
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


def _flag(option: str) -> str:
  return _FLAGS.get(option, f"--{option}")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors(), files.spooling():
    given = vars(_parser().parse_args(argv))
    sources, target = given.pop("input"), given.pop("output")
    if len(sources) > 1:
      raise UserError(f"{sources[1]}: one recording at a time; call it again")
    if target.is_dir():
      example = target / (sources[0].stem + ".wav")
      raise UserError(f"{target}: is a folder; name a file, such as {example}")
    with files.piped_output(target) as place:
      _restore(sources[0], place, given)
      log.say(f"restored: {one_line(target)}")


def _restore(source: Path, target: Path, arguments: dict[str, Any]) -> None:
  """Restores a recording as the command line's options say."""
  given = {k: value for k, value in arguments.items() if value is not None}
  names = ("model", "method", "subtype")
  model, method, subtype = (given.pop(name, None) for name in names)
  output = {"subtype": subtype, "dither": given.pop("dither", False)}
  if model and method:
    raise UserError(
      "give either --model=NAME, to restore with a network, or --method=NAME, "
      "without one"
    )
  devices.check_platform()
  if model:
    if given:
      flag = _flag(next(iter(given)))
      raise UserError(f"{flag} is for --method; a network has no such option")
    line = restore_file(source, target, shipped.find(model), **output)
    if line:
      log.say(one_line(line))
    return
  plan = automatic.Plan(method, "")
  if method in (None, _AUTO):
    # Options tell what is wrong with the recording, too.
    method = INVERSION if "effect" in given else DECLIPPER
    if not given:
      plan = automatic.choose(source)
      method = plan.method
      log.say(one_line(f"{plan.reason}: restored by {method}"))
  if method == INVERSION:
    choice = inversion.Choice.parse(given.pop("effect", inversion.AUTO))
    _refuse(given, method, ())
    line = inversion.invert_file(
      source, target, choice, found=plan.found, **output
    )
    log.say(one_line(line))
    return
  known = {"knee", *inspect.signature(declipping.declipper(method)).parameters}
  _refuse(given, method, known)
  line = declip_file(
    source, target, method, clipping=plan.clipping, **output, **given
  )
  log.say(one_line(line))


def _refuse(given: Iterable[str], method: str, known: Collection[str]) -> None:
  """Refuses the first option that a method does not have."""
  for option in given:
    if option not in known:
      raise UserError(f"{method} has no option {_flag(option)}; leave it out")


if __name__ == "__main__":
  main()
