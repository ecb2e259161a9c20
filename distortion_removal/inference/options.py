"""The options of the command `restore`."""

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import soundfile

from distortion_removal.common import devices, log
from distortion_removal.common.errors import OneLineParser
from distortion_removal.inference import full_band, method_options
from distortion_removal.inference.finish import (
  ATTENUATE,
  OVERFLOWS,
  Finish,
)
from distortion_removal.training import shipped

_EPILOG = """\
examples, where "restore" is "distortion-removal restore":
  restore take.wav                     writes take_restored.wav
  restore take.wav -o clean.flac       another name, another format
  restore album -o restored/           a folder; its structure is kept
  restore album -o restored/ --skip-existing --receipt   goes on with it
  restore *.wav --suffix=_mild --strength=60             60 %% of the change
  restore take.wav -o change.wav --delta                 what is changed
  ffmpeg -i film.mkv -f wav - | restore - -o - | aplay

exit status:
  0  all is restored, or skipped by --skip-existing
  1  a recording failed (of several, the others are restored), the command line
     has a mistake (nothing is done then), or the work was interrupted
"""


def _percent(text: str) -> float:
  return _number(text, 100.0) / 100.0


def _number(text: str, most: float = math.inf) -> float:
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  if not 0.0 <= number <= most or math.isinf(number):
    within = "0 on" if math.isinf(most) else f"0 to {most:g}"
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from {within}")
  return number


class _ListModels(argparse.Action):
  """Names the models that come with the package, and exits."""

  def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
    log.say(shipped.describe())
    parser.exit()


class Run(NamedTuple):
  """Which recordings the command restores, and what it may do.

  Attributes:
    input: files, folders, patterns or a pipe, see `batch.plan`.
    output: a file, a folder or a pipe, see `batch.plan`.
    suffix: for the results' names, see `batch.plan`.
    skip_existing: leaves recordings alone whose results are there.
    overwrite: replaces results that are there.
    dry_run: says what would be read and written.
    receipt: writes a receipt beside each result.
    device: one of `devices.DEVICES`.
  """

  input: list[str]
  output: str | None
  suffix: str | None
  skip_existing: bool
  overwrite: bool
  dry_run: bool
  receipt: bool
  device: str


def parse(
  words: Sequence[str] | None,
) -> tuple[Run, Finish, dict[str, Any]]:
  """Parses a command line.

  Returns:
    What to run on, how to finish the results, and the other options that were
    given: on the method and the sample format.
  """
  given = vars(parser().parse_args(words))

  def taken(fields: Sequence[str]) -> dict[str, Any]:
    return {name: given.pop(name) for name in fields}

  run, finish = Run(**taken(Run._fields)), Finish(**taken(Finish._fields))
  return run, finish, {k: v for k, v in given.items() if v is not None}


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.restore",
    description="Takes the distortion out of recordings.",
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    "input",
    nargs="+",
    help="recordings, folders of them (with all folders within), or patterns "
    "such as 'takes/**/*.wav'; - is stdin",
  )
  parser.add_argument(
    "-n",
    "--model",
    metavar="NAME",
    help="network to restore with: a model that comes with the package, the "
    "folder of a trained run, or a .safetensors file",
  )
  parser.add_argument(
    "--list-models",
    action=_ListModels,
    nargs=0,
    default=argparse.SUPPRESS,
    help="list the models that come with the package, and exit",
  )
  parser.add_argument(
    "--band",
    choices=full_band.BANDS,
    help="above the band of the network's sample rate, keep what the recording "
    "has (declipped, if it is clipped), or write the network's band alone; "
    f"default: {full_band.FULL}",
  )
  parser.add_argument(
    "-d",
    "--device",
    choices=devices.DEVICES,
    default=devices.AUTO,
    help="what computes (%(default)s)",
  )
  _add_files(parser)
  _add_result(parser)
  method_options.add_to(parser)
  return parser


def _add_files(parser: OneLineParser) -> None:
  group = parser.add_argument_group("files")
  add = group.add_argument
  add(
    "-o",
    "--output",
    metavar="OUT",
    help="file to write, or folder (one that exists, or ends with /, or for "
    "several recordings); - is stdout, which gets a WAV; default: beside each "
    "recording",
  )
  add(
    "--suffix",
    metavar="TEXT",
    help="is added to the results' names, before the extension; default: "
    "_restored beside the recordings, nothing in a folder",
  )
  there = group.add_mutually_exclusive_group()
  there.add_argument(
    "--skip-existing",
    action="store_true",
    help="leave recordings alone whose results are there",
  )
  there.add_argument(
    "--overwrite",
    action="store_true",
    help="replace results that are there; never an input",
  )
  add(
    "--dry-run",
    action="store_true",
    help="say what would be read and written, and do nothing",
  )
  add(
    "--receipt",
    action="store_true",
    help="write RESULT.json beside each result: versions, options, what was "
    "found, digests",
  )


def _add_result(parser: OneLineParser) -> None:
  add = parser.add_argument_group("result").add_argument
  add(
    "--strength",
    type=_percent,
    default=1.0,
    metavar="0...100",
    help="how much of the change is made, in percent; 0 gives the input back, "
    "default: 100",
  )
  add(
    "--delta",
    dest="is_delta",
    action="store_true",
    help="write the difference, restored minus input, to hear what is changed",
  )
  add(
    "--max-gain",
    dest="max_gain_db",
    type=_number,
    metavar="DB",
    help="restored peaks end at most so far above the clip level (the input's "
    "peak where that is not known); default: no limit",
  )
  add(
    "--on-overflow",
    choices=OVERFLOWS,
    default=ATTENUATE,
    help="where an integer format has no room for the peaks: lower the whole, "
    "write FLOAT instead, or clip them at full scale, which leaves what was "
    "clipped there as it was (%(default)s)",
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
