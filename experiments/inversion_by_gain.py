"""Undoes SoX's overdrive blindly at several gains, on any folder of recordings.

  python experiments/inversion_by_gain.py --path=MY_RECORDINGS
  python experiments/inversion_by_gain.py --path=MY_RECORDINGS --colours=0,20

Takes the loudest seconds of each recording in mono at a peak of 0.5, as the
paper's guitar task, applies the overdrive's formula at 20 to 50 dB, brings the
result to -19 LUFS and to 16 bits, finds the settings from it alone and undoes
them. Writes scores.jsonl, report.md and si_sdr.png, the paper's medians beside.
The same command resumes what was interrupted and skips what is scored.
"""

import functools
import itertools
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import soundfile
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.audio.loudness import normalise_loudness
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import note, say
from distortion_removal.effects import tasks
from distortion_removal.effects.invertible import Parameters
from distortion_removal.effects.overdrive import overdrive
from distortion_removal.inference.blind import Choice, Found, find_in
from distortion_removal.inference.inversion import undo
from distortion_removal.inversion.settings import shift
from distortion_removal.metrics.si_sdr import si_sdr
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import DISTORTED, method_label, styles
from distortion_removal.report.tables.cells import GAP
from distortion_removal.report.tables.published import published
from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  markdown_page,
)
from experiments.survey import excerpts

_TASK = tasks.get("overdrive")
_STEPS = 2.0**15
_INVERSION = "inversion"

Row = dict[str, Any]


def _numbers(text: str) -> tuple[float, ...]:
  return tuple(map(float, text.split(",")))


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/inversion_by_gain.py",
    description="Scores the blind inverse of the overdrive by gain.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  levels = ",".join(f"{gain:g}" for gain in _TASK.evaluation_levels)
  add("--path", required=True, help="folder of clean recordings")
  add("--output", type=Path, default=Path("runs/inversion_by_gain"))
  add("--gains", type=_numbers, default=levels, help=f"in dB ({levels})")
  add("--colours", type=_numbers, default="0", help="0 to 100 (0)")
  add("--excerpts-per-recording", type=int, default=1, help="at most (1)")
  add("--seconds", type=float, default=10.0, help="of an excerpt (10)")
  add("--sample-rate", type=int, default=16_000, help="Hz (16000)")
  return parser


def degrade(
  clean: np.ndarray, rate: int, gain_db: float, colour: float
) -> tuple[np.ndarray, Parameters]:
  """Overdrives `[time, 1]` and rounds it; with the settings that undo it."""
  raw = np.asarray(overdrive(clean[None], gain_db, colour=colour), np.float64)
  audio, _ = normalise_loudness(
    raw[0], sample_rate=rate, loudness_lufs=_TASK.loudness_lufs
  )
  audio = audio.astype(np.float64)
  scale = float(np.vdot(audio, raw) / np.vdot(raw, raw))
  factor = 10.0 ** (gain_db / 20.0)
  rounded = np.rint(audio * _STEPS) / _STEPS
  return rounded, Parameters(factor, scale, shift(colour), 0.0)


def score(clean: np.ndarray, rate: int, gain_db: float, colour: float) -> Row:
  """Finds and undoes the overdrive of `[time, 1]`; a row without its file."""
  audio, known = degrade(clean, rate, gain_db, colour)
  choice = Choice("overdrive")
  start = time.perf_counter()
  found = find_in(audio[:, 0], rate, choice)
  chosen = choice.chosen([found])
  restored = _undone(chosen, audio)
  seconds = time.perf_counter() - start
  rate_it = functools.partial(_si_sdr, clean=clean, rate=rate)
  row = {
    "gain_db": gain_db,
    "colour": colour,
    "si_sdr": rate_it(restored),
    "si_sdr_known": rate_it(_undone([_known(found, known)], audio)),
    "si_sdr_distorted": rate_it(audio),
    "is_undone": bool(chosen[0]),
    "scale": known.scale,
    "compute_seconds": seconds,
  }
  return row | {"found": found.as_json() if found else None}


def _undone(found: Sequence[Found | None], audio: np.ndarray) -> np.ndarray:
  return np.concatenate([*undo(found, [audio])])


def _known(found: Found | None, parameters: Parameters) -> Found | None:
  """Returns the effect with the true settings; None: no sound to undo it in."""
  return found and found._replace(parameters=parameters)


def _si_sdr(estimate: np.ndarray, clean: np.ndarray, rate: int) -> float | None:
  (value,) = si_sdr(estimate[None], clean[None], sample_rate=rate)
  return metrics.number(value)


def read_rows(path: Path) -> list[Row]:
  """Reads the rows that are there, a JSON object a line."""
  text = path.read_text() if path.exists() else ""
  return [json.loads(line) for line in text.splitlines()]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
  """Writes rows for `read_rows`, whole or not at all."""
  write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))


def score_all(output: Path, levels: Sequence[tuple[float, float]]) -> list[Row]:
  """Scores all excerpts in `output`; the rows that lie there stay.

  Args:
    output: has the excerpts; gets scores.jsonl, written after each row.
    levels: pairs of a gain in dB and a colour.
  """
  target = output / "scores.jsonl"
  rows = read_rows(target)
  have = {(row["file"], row["gain_db"], row["colour"]) for row in rows}
  folder = output / excerpts.FOLDER
  for path in sorted(folder.rglob("*.wav")):
    name = str(path.relative_to(folder))
    missing = [pair for pair in levels if (name, *pair) not in have]
    if name == excerpts.UNUSED or not missing:
      continue
    clean, rate = soundfile.read(path, always_2d=True)
    clean *= _TASK.clean_peak / np.abs(clean).max()
    for gain_db, colour in missing:
      row = {"file": name} | score(clean, rate, gain_db, colour)
      rows.append(row)
      write_rows(target, rows)
      note(
        f"{name}, {gain_db:g} dB, colour {colour:g}: {_text(row['si_sdr'])} dB"
      )
  return rows


def _text(value: float | None) -> str:
  return GAP if value is None else metrics.get("si_sdr").text(value)


def _by_gain(rows: Sequence[Row], key: str) -> dict[float, np.ndarray]:
  """Returns the scores of a method at each gain, ascending."""
  gains = sorted({row["gain_db"] for row in rows})
  return {
    gain: np.array(
      [
        row[key]
        for row in rows
        if row["gain_db"] == gain and row[key] is not None
      ]
    )
    for gain in gains
  }


def table(rows: Sequence[Row]) -> Table:
  """Makes the table of SI-SDR by gain, the paper's medians below."""
  gains = sorted({row["gain_db"] for row in rows})

  def line(title: str, key: str, of: Callable[[np.ndarray], float]) -> list:
    groups = [*_by_gain(rows, key).values()]
    groups.append(np.concatenate(groups))
    return [title, *(_text(of(x) if len(x) else None) for x in groups)]

  label = method_label(_INVERSION)
  own = [
    line(f"{label}, nothing known: median", "si_sdr", np.median),
    line(f"{label}, nothing known: worst", "si_sdr", np.min),
    line(f"{label}, settings known: median", "si_sdr_known", np.median),
    line(f"{method_label(DISTORTED)}: median", "si_sdr_distorted", np.median),
  ]
  theirs = published(_TASK.name)
  gap = [""] * len(gains)
  other = [
    [method_label(name), *gap, _text(middle)]
    for name, (_, middle, _) in theirs.quartiles["si_sdr"].items()
  ]
  declined = sum(not row["is_undone"] for row in rows)
  return Table(
    name="si_sdr",
    caption=f"{metrics.get('si_sdr').heading} by gain, {_TASK.label}",
    header=["method", *(f"{gain:g} dB" for gain in gains), "all"],
    sections=[
      RowGroup("your recordings", own),
      RowGroup(f"{theirs.citation}, {theirs.dataset}: medians", other),
    ],
    notes=[
      f"{declined} of {len(rows)} were declined, and count as they came in.",
      f"Numbers of the paper: {theirs.source}.",
    ],
  )


@drawing.look()
def draw(rows: Sequence[Row]) -> Figure:
  """Draws median and quartiles by gain, and the paper's medians as lines."""
  theirs = published(_TASK.name)
  medians = {
    name: middle for name, (_, middle, _) in theirs.quartiles["si_sdr"].items()
  }
  looks = styles([_INVERSION, *medians])
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 3.4), layout="constrained")
  axis = figure.subplots()
  by_gain = {k: x for k, x in _by_gain(rows, "si_sdr").items() if len(x)}
  if by_gain:
    low, middle, high = np.transpose(
      [np.percentile(x, [25, 50, 75]) for x in by_gain.values()]
    )
    colour = looks[_INVERSION].colour
    axis.fill_between([*by_gain], low, high, color=colour, alpha=0.2, lw=0)
    label = f"{method_label(_INVERSION)} (quartiles)"
    axis.plot([*by_gain], middle, color=colour, marker="o", label=label)
  for name, value in medians.items():
    axis.axhline(
      value,
      color=looks[name].colour,
      linestyle="--",
      linewidth=0.8,
      label=f"{method_label(name)}, {theirs.citation}",
    )
  axis.set_xlabel("gain / dB")
  axis.set_ylabel(drawing.score_label("si_sdr"), parse_math=True)
  axis.grid()
  figure.legend(loc="outside right center")
  return figure


def write_report(output: Path, rows: Sequence[Row], facts: Mapping) -> str:
  """Writes report.md and si_sdr.png; returns the report."""
  drawing.save(draw(rows), output / "si_sdr.png")
  count = len({row["file"] for row in rows})
  colours = sorted({row["colour"] for row in rows})
  page = markdown_page(f"Inverse of {count} excerpts", [table(rows)])
  page += (
    f"\n`{facts['command']}`\n\nThe loudest {facts['seconds']:g} s of each "
    f"recording in mono at {facts['sample_rate']:g} Hz, through the overdrive "
    f"(colour {', '.join(f'{x:g}' for x in colours)}), at "
    f"{_TASK.loudness_lufs:g} LUFS, rounded to 16 bits. The paper's medians "
    "are over all its gains, on other recordings.\n\n"
    "![SI-SDR by gain](si_sdr.png)\n"
  )
  write_whole(output / "report.md", page)
  return page


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    words = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(words)
    facts = {"seconds": args.seconds, "sample_rate": args.sample_rate}
    count = args.excerpts_per_recording
    excerpts.cut_folder(Path(args.path), args.output, **facts, count=count)
    levels = [*itertools.product(args.gains, args.colours)]
    rows = score_all(args.output, levels)
    if not rows:
      raise UserError(f"{args.output}: nothing was scored; give a --gains")
    command = "python experiments/inversion_by_gain.py"
    facts |= {"command": f"{command} {shlex.join(words)}"}
    say(write_report(args.output, rows, facts))


if __name__ == "__main__":
  main()
