"""Says how recordings are distorted: `python -m distortion_removal.analyze`.

Reads the whole file for clipping, see `inference.clipping`, and the loudest ten
seconds for an effect that can be undone, see `inference.inversion`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distortion_removal.audio import files
from distortion_removal.common import devices, log
from distortion_removal.common.errors import OneLineParser, one_line_errors
from distortion_removal.common.files import as_text, one_line
from distortion_removal.effects.invertible import FAMILY
from distortion_removal.inference import inversion
from distortion_removal.inference.clipping import survey


def analyze_file(
  source: Path, choice: inversion.Choice = inversion.ANY
) -> dict[str, Any]:
  """Finds a recording's clipping and the effect it went through.

  Args:
    source: the recording.
    choice: the effects to look for.

  Returns:
    For JSON: the file and its form; "clipping", with the rails of each channel,
    None for none; "effects", of each channel, None where there is no sound.
  """
  info = files.info(source)
  found = inversion.find(source, choice)
  return {
    "file": as_text(source),
    "sample_rate": info.sample_rate,
    "channels": info.channels,
    "frames": info.frames,
    "clipping": survey(source).as_json(info.frames * info.channels),
    "effects": [one.as_json() if one else None for one in found],
    "summary": inversion.describe(found, choice),
  }


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.analyze",
    description="Says how recordings are distorted.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("files", type=Path, nargs="+", help="recordings; - is stdin")
  add("--json", action="store_true", help="one JSON object a line and file")
  add(
    "--effect",
    default="overdrive",
    metavar="NAME",
    help=f"to look for: {inversion.AUTO}, {', '.join(FAMILY)} (%(default)s)",
  )
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors(), files.spooling():
    options = _parser().parse_args(argv)
    choice = inversion.Choice.parse(options.effect)
    devices.check_platform()
    for source in options.files:
      found = analyze_file(source, choice)
      if options.json:
        log.say(json.dumps(found))
        continue
      clipping = found["clipping"]
      texts = [clipping["summary"], clipping["doubts"], clipping["soft"]]
      texts += [found["summary"]]
      log.say(f"{one_line(source)}: {'; '.join(filter(None, texts))}")


if __name__ == "__main__":
  main()
