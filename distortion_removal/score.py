"""Scores recordings: `python -m distortion_removal.score REFERENCE ESTIMATE…`.

Metrics compare sample by sample: `audio.aligned` makes files of other sample
rates, lags and lengths comparable, and every result says how.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import metrics
from distortion_removal.audio import aligned, files
from distortion_removal.audio.alignment import common_part
from distortion_removal.common import log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import as_text, one_line
from distortion_removal.common.log import Progress
from distortion_removal.metrics import number, peaq
from distortion_removal.metrics.fad import frechet

MAX_LAG_SECONDS = 0.5


def score_files(
  reference: Path,
  estimates: Sequence[Path],
  names: Sequence[str],
  *,
  degraded: Path | None = None,
  max_lag_seconds: float = MAX_LAG_SECONDS,
  mono: bool = False,
  details: bool = False,
) -> Iterator[dict]:
  """Scores files against a reference, all of them checked before any work.

  `degraded` is the estimates' input, for metrics that need it; a
  `max_lag_seconds` of 0 leaves the files unaligned; `mono` compares the means
  of the channels; `details` adds PEAQ's variables.

  Yields:
    For every estimate, ready for JSON: the files, the rate and what was done to
    make them comparable; metrics (None where undefined) and settings by name;
    for metrics of sets `NAME_windows`, of estimate and reference; `peaq_movs`.

  Raises:
    UserError: a file cannot be used, or a metric not for these files.
  """
  inputs = [degraded] if degraded else []
  channels = aligned.check_files([reference, *estimates, *inputs], mono)
  target = aligned.load_reference(reference, mono=mono)
  for name in names:
    metric = metrics.get(name)
    if metric.needs_degraded and not degraded:
      raise UserError(f"{name} needs the estimates' input; add --degraded=FILE")
    metric.check(sample_rate=target.sample_rate, channels=channels)
  options = {"max_lag_seconds": max_lag_seconds, "mono": mono}
  sources = [aligned.load_estimate(path, target, **options) for path in inputs]
  message, is_shown = "scored %.0f %% of the estimates", len(estimates) > 1
  with Progress(
    len(estimates), message, unit="file", is_shown=is_shown
  ) as progress:
    for path in estimates:
      estimate = aligned.load_estimate(path, target, **options)
      yield _compare([target, estimate, *sources], names, details)
      progress.advance(1)


def _compare(
  tracks: Sequence[aligned.Track], names: Sequence[str], details: bool
) -> dict:
  """Scores what the reference, an estimate and its input have in common."""
  reference, estimate, *degraded = tracks
  common = aligned.compared_parts(*tracks)
  rate = reference.sample_rate
  result = {
    "reference": as_text(reference.path),
    "estimate": as_text(estimate.path),
    "sample_rate": rate,
    "channels": common[0].shape[1],
    "compared_seconds": len(common[0]) / rate,
    **estimate.changes(),
  }
  for track in degraded:
    result["degraded"] = {"file": as_text(track.path), **track.changes()}
  for name in names:
    metric, parts = metrics.get(name), common
    if abs(estimate.lag_samples) <= metric.tolerated_lag_seconds * rate:
      # What all have in common, with the lag of the estimate.
      lags = [0, 0, *(track.lag_samples for track in degraded)]
      parts = common_part([track.audio for track in tracks], lags)
    result |= _scores(name, [part[None] for part in parts], rate, details)
  return result | {"settings": {x: metrics.get(x).settings for x in names}}


def _scores(
  name: str, parts: Sequence[np.ndarray], sample_rate: int, details: bool
) -> dict:
  """Computes a metric and what is reported along with it."""
  metric = metrics.get(name)
  target, estimate, *degraded = parts
  if name == "peaq" and details:
    # One analysis gives both; the grade alone would take as long again.
    scores = peaq.analyse(estimate, target, sample_rate=sample_rate)
    movs = {key: number(x.item()) for key, x in scores.movs.items()}
    return {name: number(scores.odg.item()), "peaq_movs": movs}
  if metric.embed is not None:
    sets = frechet.statistics_of_audio(
      metric.embed, estimate, target, sample_rate
    )
    windows = [statistics.count for statistics in sets]
    return {name: number(frechet.distance(*sets)), f"{name}_windows": windows}
  source = degraded[0] if degraded else None
  score = metric.score(estimate, target, source, sample_rate=sample_rate)
  return {name: number(score.item())}


def _table(results: Sequence[dict], names: Sequence[str]) -> str:
  """Lays out a row per estimate; then the settings, and PEAQ's variables."""
  listed = {name: metrics.get(name) for name in names}
  rows = [["estimate", *(metric.heading for metric in listed.values())]]
  for result in results:
    texts = (metric.text(result[name]) for name, metric in listed.items())
    rows.append([one_line(result["estimate"]), *texts])
  lines = [*_columns(rows), ""]
  lines += [f"{metric.label}: {metric.settings}" for metric in listed.values()]
  if "peaq_movs" in results[0]:
    rows = [["PEAQ", *(one_line(result["estimate"]) for result in results)]]
    for name in results[0]["peaq_movs"]:
      values = (result["peaq_movs"][name] for result in results)
      rows.append([name, *("n/a" if x is None else f"{x:.4f}" for x in values)])
    lines += ["", *_columns(rows)]
  return "\n".join(lines)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
  """Aligns the first column to the left and the others to the right."""
  first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
  row = "  ".join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in others)])
  return [row.format(*cells) for cells in rows]


def _chosen_metrics(text: str, has_degraded: bool) -> list[str]:
  """Parses `--metrics`: names, or "all" metrics of single files."""
  if text == "all":
    return [
      name
      for name, metric in metrics.METRICS.items()
      if metric.embed is None and (has_degraded or not metric.needs_degraded)
    ]
  if not text.strip(", "):
    raise UserError("--metrics= is empty; name some, or 'all'")
  return list(dict.fromkeys(x.strip() for x in text.split(",") if x.strip()))


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.score",
    description="Scores recordings against a reference, after resampling them "
    "to its rate and removing a lag; the log and the JSON objects say so.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("reference", type=Path, help="the clean recording; - is stdin")
  add("estimates", type=Path, nargs="+", metavar="estimate", help="to score")
  among = f"among {', '.join(metrics.METRICS)}, or all (%(default)s)"
  default = "si_sdr,sdr,peaq,r_nonlin"
  add("--metrics", default=default, metavar="NAMES", help=among)
  add("--degraded", type=Path, metavar="FILE", help="the estimates' input")
  add("--json", action="store_true", help="one JSON object a line and estimate")
  add("--details", action="store_true", help="add PEAQ's 11 output variables")
  add("--mono", action="store_true", help="compare the means of the channels")
  add(
    "--max-lag-seconds",
    type=float,
    default=MAX_LAG_SECONDS,
    metavar="S",
    help="largest lag to look for, up to 60 (%(default)s)",
  )
  add("--no-align", action="store_true", help="leave lags as they are")
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors(), files.spooling():
    options = vars(parser().parse_args(argv))
    as_json, no_align = options.pop("json"), options.pop("no_align")
    names = _chosen_metrics(options.pop("metrics"), bool(options["degraded"]))
    if options["details"] and "peaq" not in names:
      raise UserError("--details are PEAQ's; add peaq to --metrics")
    if not 0.0 <= options["max_lag_seconds"] <= 60.0:
      raise UserError("--max-lag-seconds must be between 0 and 60")
    if no_align:
      options["max_lag_seconds"] = 0.0
    if any(metrics.get(name).embed for name in names):
      # JAX takes seconds to import, which the other metrics do not need.
      from distortion_removal.common import devices

      devices.check_platform()
    results = score_files(names=names, **options)
    if as_json:
      for result in results:
        log.say(json.dumps(result, allow_nan=False))
    else:
      log.say(_table(list(results), names))


if __name__ == "__main__":
  main()
