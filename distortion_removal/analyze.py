"""Says how recordings are distorted: `python -m distortion_removal.analyze`.

Reads the whole file for clipping and levels, see `inference.analysis`, and the
loudest ten seconds for an effect that can be undone, see `inference.blind`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distortion_removal import make_callable
from distortion_removal.audio import files
from distortion_removal.common import devices, log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  mendable,
  one_line_errors,
)
from distortion_removal.common.files import as_text, one_line
from distortion_removal.effects.invertible import FAMILY
from distortion_removal.inference import analysis, blind
from distortion_removal.inference.clipping import clock

_DC = 1e-4  # of full scale, −80 dB, that is worth a word


def describe(found: dict[str, Any]) -> str:
  """Returns what `analysis.analyze` has found, for people."""
  clipping, levels = found["clipping"], found["levels"]
  lines = [("clipping", _clipping(clipping))]
  lines += _channels(clipping, found["frames"])
  lines += [("", clipping["doubts"]), ("soft clip", clipping["soft"])]
  lines += [("effect", found["summary"]), ("level", _levels(levels))]
  return "\n".join(f"  {name:<11}{text}" for name, text in lines if text)


def _clipping(clipping: dict[str, Any]) -> str:
  if not clipping["clipped_samples"]:
    return clipping["summary"]
  text = f"{clipping['summary']}: {100 * clipping['clipped_share']:.3g} % of "
  text += "the samples"
  sdr_db = clipping["input_sdr_db"]
  return text if sdr_db is None else f"{text}; input SDR about {sdr_db:.0f} dB"


def _channels(clipping: dict[str, Any], frames: int) -> list[tuple[str, str]]:
  lines = []
  for k, channel in enumerate(clipping["channels"], 1):
    low, high = channel["low"], channel["high"]
    if not low + high:
      continue
    spans = ", ".join(
      f"{clock(span['start_seconds'])}-{clock(span['end_seconds'])} "
      f"({span['clipped_samples']})"
      for span in channel["spans"]
    )
    share = 100 * (low + high) / frames
    text = f"{low} samples below and {high} above, {share:.3g} %: {spans}"
    lines.append((f"channel {k}", text))
  return lines


def _levels(levels: dict[str, Any]) -> str:
  loudness = levels["loudness_lufs"]
  texts = [
    _decibels(levels["peak_dbfs"], "peak {:.1f} dBFS", "silence"),
    _decibels(levels["true_peak_dbtp"], "true peak {:.1f} dBTP", ""),
    _decibels(loudness, "loudness {:.1f} LUFS", "no loudness"),
  ]
  texts += [
    f"DC {dc:.2g} (channel {k})"
    for k, dc in enumerate(levels["dc"], 1)
    if abs(dc) > _DC
  ]
  return ", ".join(filter(None, texts))


def _decibels(level: float | None, text: str, otherwise: str) -> str:
  return otherwise if level is None else text.format(level)


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.analyze",
    description="Says how recordings are distorted.",
    epilog="exit status: 0, or 1 if a recording could not be read",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("files", type=Path, nargs="+", help="recordings; - is stdin")
  add("--json", action="store_true", help="one JSON object a line and file")
  add(
    "--plot",
    type=Path,
    metavar="PNG",
    help="of one recording: draw its samples and where they are clipped",
  )
  add(
    "--effect",
    default="overdrive",
    metavar="NAME",
    help=f"to look for: {blind.AUTO}, {', '.join(FAMILY)} (%(default)s)",
  )
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors(), files.spooling():
    options = parser().parse_args(argv)
    choice = blind.Choice.parse(options.effect)
    _check_plot(options.plot, options.files)
    devices.check_platform()
    devices.keep_compiled()
    failed = 0
    for source in options.files:
      try:
        _analyze(source, choice, options.plot, as_json=options.json)
      except Exception as error:
        message = mendable(error)
        if message is None:
          raise
        failed += 1
        log.note(f"error: {message}")
    if failed:
      sys.exit(1)


def _check_plot(plot: Path | None, sources: Sequence[Path]) -> None:
  """Refuses a plot that could not be written, before any work."""
  if plot is None:
    return
  if len(sources) > 1:
    raise UserError("--plot draws one recording; name one")
  if plot.suffix.lower() != ".png":
    raise UserError(f"--plot={plot}: name a .png")
  if plot.exists():
    raise UserError(f"--plot={plot}: exists; remove it, or choose another name")
  if not plot.parent.is_dir():
    raise UserError(f"--plot={plot}: the folder to write to does not exist")


def _analyze(
  source: Path, choice: blind.Choice, plot: Path | None, *, as_json: bool
) -> None:
  clipping, found = analysis.analyze(source, choice)
  if plot:
    # Importing matplotlib takes a second.
    from distortion_removal.inference import traces
    from distortion_removal.report.figures import clipped, drawing

    figure = clipped.draw(traces.trace(source, clipping), one_line(source))
    drawing.save(figure, plot)
  if as_json:
    log.say(json.dumps({"file": as_text(source)} | found))
  else:
    log.say(f"{one_line(source)}\n{describe(found)}")


make_callable(__name__)

if __name__ == "__main__":
  main()
