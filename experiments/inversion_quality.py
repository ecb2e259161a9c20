"""Scores, and calibrates, how well the inverse predicts its own quality.

  python experiments/inversion_quality.py --path=MY_RECORDINGS --examples=150

Each example is the loudest seconds of a recording through SoX's overdrive at a
random gain, and then left as it is, resampled and back, encoded (needs ffmpeg),
rounded to fewer bits, mixed with noise or with another recording. Writes
scores.jsonl, si_sdr.png (expected by true SI-SDR) and report.md, which ends
with the coefficients that these recordings would have `inversion.quality` use:
fit them on recordings on which you report nothing. The same command resumes.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Also as a script, it is about the checkout that it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import scipy.signal
import soundfile
import soxr
from matplotlib.figure import Figure

from distortion_removal.common.errors import OneLineParser, one_line_errors
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import note, say
from distortion_removal.inference.blind import Choice, find_in
from distortion_removal.inference.inversion import undo
from distortion_removal.inversion.quality import Evidence
from distortion_removal.metrics.si_sdr import si_sdr
from distortion_removal.report.figures import drawing
from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  markdown_page,
)
from experiments.inversion_by_gain import (
  Row,
  degrade,
  read_rows,
  write_rows,
)
from experiments.survey import excerpts

_CODECS = {
  "MP3, 128 kbit/s": ("mp3", "-b:a", "128k"),
  "MP3, 320 kbit/s": ("mp3", "-b:a", "320k"),
  "AAC, 128 kbit/s": ("m4a", "-c:a", "aac", "-b:a", "128k"),
}
_NOTHING = "nothing"
# What follows the overdrive, and how often.
_KINDS = {
  _NOTHING: 0.2,
  "resampling, VHQ": 0.1,
  "resampling, MQ": 0.1,
  "noise": 0.12,
  "10 to 14 bits": 0.08,
  "another recording": 0.1,
} | dict.fromkeys(_CODECS, 0.1)


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python experiments/inversion_quality.py",
    description="Scores the SI-SDR that the inverse expects of itself.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--path", required=True, type=Path, help="folder of clean recordings")
  add("--output", type=Path, default=Path("runs/inversion_quality"))
  add("--examples", type=int, default=150, help="(150)")
  add("--seconds", type=float, default=10.0, help="of an excerpt (10)")
  add("--sample-rate", type=int, default=16_000, help="Hz (16000)")
  return parser


def spoilt(
  kind: str,
  audio: np.ndarray,
  other: np.ndarray,
  rate: int,
  generator: np.random.Generator,
) -> np.ndarray:
  """Returns audio `[time]` of 16 bits after what a kind says."""
  if kind == _NOTHING:
    return audio
  if kind in _CODECS:
    return _coded(audio, rate, *_CODECS[kind])
  if kind.startswith("resampling"):
    quality = kind.split()[-1]
    up = soxr.resample(audio, rate, 1.25 * rate, quality)
    audio = soxr.resample(up, 1.25 * rate, rate, quality)[: len(audio)]
  elif kind == "noise":
    level = 10.0 ** (generator.uniform(-90.0, -50.0) / 20.0)
    audio = audio + level * generator.standard_normal(len(audio))
  elif kind == "another recording":
    level = audio.std() * 10.0 ** (generator.uniform(-50.0, -15.0) / 20.0)
    audio = audio + level * np.resize(other, len(audio)) / other.std()
  bits = generator.integers(10, 15) if kind.endswith("bits") else 16
  steps = 2.0 ** (bits - 1)
  return np.rint(audio * steps) / steps


def _coded(
  audio: np.ndarray, rate: int, suffix: str, *options: str
) -> np.ndarray:
  """Encodes and decodes by ffmpeg, without the codec's delay."""
  with tempfile.TemporaryDirectory() as folder:
    before, coded, after = (
      str(Path(folder, name)) for name in ("in.wav", f"x.{suffix}", "out.wav")
    )
    soundfile.write(before, audio, rate, subtype="PCM_16")
    ffmpeg = ["ffmpeg", "-y", "-loglevel", "error", "-i"]
    subprocess.run([*ffmpeg, before, *options, coded], check=True)
    subprocess.run([*ffmpeg, coded, "-ar", str(rate), after], check=True)
    decoded, _ = soundfile.read(after)
  decoded = np.pad(decoded, (0, max(0, len(audio) - len(decoded))))
  match = scipy.signal.correlate(decoded[: 2 * rate], audio[: 2 * rate])
  delay = int(np.argmax(match)) - len(audio[: 2 * rate]) + 1
  return np.roll(decoded, -delay)[: len(audio)]


def score(index: int, paths: Sequence[Path], kinds: Mapping[str, float]) -> Row:
  """Makes, undoes and scores an example; the same for an index each time."""
  generator = np.random.default_rng(index)
  pick, another = generator.integers(len(paths), size=2)
  clean, rate = soundfile.read(paths[pick], always_2d=True)
  clean *= 0.5 / np.abs(clean).max()
  other, _ = soundfile.read(paths[another])
  gain_db, colour = generator.uniform(18.0, 50.0), generator.choice([0, 20])
  share = np.array([*kinds.values()]) / sum(kinds.values())
  kind = str(generator.choice([*kinds], p=share))
  audio, _ = degrade(clean, rate, gain_db, colour)
  audio = spoilt(kind, audio[:, 0], other, rate, generator)
  row = {"file": str(paths[pick]), "kind": kind, "gain_db": gain_db}
  found = find_in(audio, rate, Choice("overdrive"))
  if not found:
    return row
  restored = np.concatenate([*undo([found], [audio[:, None]])])
  pair = [x[None] - x.mean() for x in (restored, clean)]
  (value,) = si_sdr(*pair, sample_rate=rate)
  evidence = found.estimate.evidence
  return row | {
    "si_sdr": float(value),
    "is_certain": found.estimate.is_certain,
    "evidence": evidence._asdict(),
  }


def score_all(output: Path, count: int) -> list[Row]:
  """Scores as many examples of the excerpts in `output`; old rows stay."""
  target, folder = output / "scores.jsonl", output / excerpts.FOLDER
  rows = read_rows(target)
  found = sorted(folder.rglob("*.wav"))
  paths = [path for path in found if path.name != excerpts.UNUSED]
  kinds = dict(_KINDS)
  if not shutil.which("ffmpeg"):
    note("without the program ffmpeg there are no codecs")
    kinds = {k: x for k, x in kinds.items() if k not in _CODECS}
  for index in range(len(rows), count):
    row = score(index, paths, kinds)
    row["file"] = str(Path(row["file"]).relative_to(folder))
    rows.append(row)
    write_rows(target, rows)
    note(
      f"{index + 1} of {count}: {row['kind']}, {row['gain_db']:.0f} dB: "
      f"{row.get('si_sdr', np.nan):.1f} dB"
    )
  return [
    row | {"expected_si_sdr": Evidence(**row["evidence"]).si_sdr_db}
    for row in rows
    if "evidence" in row
  ]


def fit(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
  """Fits the two sets of coefficients of `inversion.quality`.

  Those of exact results by ridge logistic regression, those of the others by
  ridge regression; intercepts come first.
  """
  seen = [Evidence(**row["evidence"]) for row in rows]
  true = np.array([row["si_sdr"] for row in rows])
  limit = np.array([x.limit_db for x in seen])
  exact = (np.abs(true - limit) < 3.0) | ((true > 50) & (true > limit - 6.0))
  inputs = np.array([x.terms(1) for x in seen])
  weights = np.zeros(inputs.shape[1])
  ridge = _ridge(len(weights), 1.0)
  for _ in range(40):
    chance = 1.0 / (1.0 + np.exp(-inputs @ weights))
    slope = inputs.T @ (chance - exact) + ridge @ weights
    curvature = inputs.T @ (inputs * (chance * (1.0 - chance))[:, None])
    weights = weights - np.linalg.solve(curvature + ridge, slope)
  inputs = np.array([x.terms(2) for x in seen])[~exact]
  ridge = _ridge(inputs.shape[1], 2.0)
  return weights, np.linalg.solve(
    inputs.T @ inputs + ridge, inputs.T @ true[~exact]
  )


def _ridge(count: int, weight: float) -> np.ndarray:
  """Returns the penalty, next to none of it on the intercept."""
  penalty = weight * np.eye(count)
  penalty[0, 0] = 1e-2
  return penalty


def expected_by_others(rows: Sequence[Row]) -> list[float]:
  """Returns what is expected by a fit on the other recordings."""
  expected = {}
  for file in {row["file"] for row in rows}:
    exact, inexact = fit([row for row in rows if row["file"] != file])
    for row in rows:
      if row["file"] == file:
        seen = Evidence(**row["evidence"])
        expected[id(row)] = seen.expected_db(exact, inexact)
  return [expected[id(row)] for row in rows]


def table(rows: Sequence[Row]) -> Table:
  """Makes the table of errors by what followed the overdrive."""

  def line(title: str, some: Sequence[Row]) -> list[str]:
    error = [abs(x["expected_si_sdr"] - x["si_sdr"]) for x in some]
    return [
      title,
      str(len(some)),
      f"{np.median([x['si_sdr'] for x in some]):.1f}",
      f"{np.median(error):.1f}",
      f"{np.mean(np.array(error) < 5.0):.0%}",
    ]

  by_kind = {k: [x for x in rows if x["kind"] == k] for k in _KINDS}
  certain = [x for x in rows if x["is_certain"]]
  lines = [line(k, some) for k, some in by_kind.items() if some]
  lines += [line("all", rows)]
  lines += [line("all that are certain", certain)] if certain else []
  return Table(
    name="expected_si_sdr",
    caption="Expected and true SI-SDR of undone recordings",
    header=["after it", "examples", "median / dB", "error / dB", "within 5 dB"],
    sections=[RowGroup("overdrive, and then", lines)],
    notes=["The error is the median of the absolute difference."],
  )


@drawing.look()
def draw(rows: Sequence[Row]) -> Figure:
  """Draws the expected by the true SI-SDR."""
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 4.4), layout="constrained")
  axis = figure.subplots()
  ends = np.array([-5.0, 75.0])
  axis.fill_between(ends, ends - 5, ends + 5, color="0.5", alpha=0.15, lw=0)
  for kind, marker in zip(_KINDS, "o^vsDP<>*", strict=True):
    some = [row for row in rows if row["kind"] == kind]
    points = [(x["si_sdr"], x["expected_si_sdr"]) for x in some]
    if points:
      axis.scatter(*np.transpose(points), s=16, marker=marker, label=kind)
  axis.set(xlim=ends, ylim=ends, aspect="equal")
  axis.set_xlabel("true SI-SDR / dB")
  axis.set_ylabel("expected SI-SDR / dB")
  axis.grid()
  figure.legend(loc="outside right center", title="after the overdrive")
  return figure


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    words = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(words)
    output = options.output
    excerpts.cut_folder(
      options.path,
      output,
      seconds=options.seconds,
      sample_rate=options.sample_rate,
      count=1,
    )
    rows = score_all(output, options.examples)
    drawing.save(draw(rows), output / "si_sdr.png")
    exact, inexact = (tuple(x.round(3).tolist()) for x in fit(rows))
    command = f"python experiments/inversion_quality.py {shlex.join(words)}"
    report = markdown_page("How good the inverse expects to be", [table(rows)])
    others = np.array(expected_by_others(rows))
    error = np.abs(others - [row["si_sdr"] for row in rows])
    report += (
      f"\n`{command}`\n\n![expected by true SI-SDR](si_sdr.png)\n\n"
      "Coefficients fitted on these recordings, which expect "
      f"{np.mean(error < 5.0):.0%} within 5 dB where each recording is left to "
      f"the fit on the others:\n\n    _EXACT = {exact}\n"
      f"    _INEXACT_DB = {inexact}\n"
    )
    write_whole(output / "report.md", report)
    say(report)


if __name__ == "__main__":
  main()
