"""Scores recordings: `python -m distortion_removal.score REFERENCE ESTIMATE…`.

Metrics compare sample by sample: `tracks` has the rules by which files of other
sample rates, lags and lengths are made comparable, and every result says what
was done to them.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from distortion_removal import metrics
from distortion_removal.audio import aligned as tracks
from distortion_removal.audio.aligned import Track, load_estimate
from distortion_removal.audio.alignment import common_part
from distortion_removal.common import log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.log import Progress
from distortion_removal.evaluation.scores import number
from distortion_removal.metrics import frechet, peaq
from distortion_removal.report.tables import score_table

DEFAULT_METRICS = "si_sdr,sdr,peaq,r_nonlin"
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

  Args:
    reference: any file that libsndfile reads.
    estimates: such files.
    names: of metrics.
    degraded: what the estimates were made of, for metrics that need it.
    max_lag_seconds: the largest lag to look for; 0 leaves the files as they
      are.
    mono: whether to compare the means of the channels.
    details: whether to add what PEAQ's grade is made of.

  Yields:
    Of every estimate, ready for JSON: the files, the rate and what was done to
    make them comparable, each metric by name (None where undefined), their
    settings, for metrics of sets `NAME_windows`, of estimate and reference, and
    on demand `peaq_movs`, the model output variables by name.

  Raises:
    UserError: a file cannot be used, or a metric not for these files.
  """
  beside = [degraded] if degraded else []
  channels = tracks.check_files([reference, *estimates, *beside], mono)
  target = tracks.load_reference(reference, mono=mono)
  _check_metrics(names, channels, target.sample_rate, degraded is not None)
  options = {"max_lag_seconds": max_lag_seconds, "mono": mono}
  source = load_estimate(degraded, target, **options) if degraded else None
  with Progress(
    len(estimates),
    "scored %.0f %% of the estimates",
    unit="file",
    is_shown=len(estimates) > 1,
  ) as shown:
    for path in estimates:
      estimate = load_estimate(path, target, **options)
      yield compare(target, estimate, names, degraded=source, details=details)
      shown.advance(1)


def compare(
  reference: Track,
  estimate: Track,
  names: Sequence[str],
  *,
  degraded: Track | None = None,
  details: bool = False,
) -> dict:
  """Scores one recording over what it has in common with the reference.

  Arguments and result as of `score_files`.

  Raises:
    UserError: they have nothing in common.
  """
  others = [degraded] if degraded else []
  aligned = tracks.compared_parts(reference, estimate, *others)
  rate = reference.sample_rate
  result = {
    "reference": str(reference.path),
    "estimate": str(estimate.path),
    "sample_rate": rate,
    "channels": aligned[0].shape[1],
    "compared_seconds": len(aligned[0]) / rate,
    **estimate.changes(),
  }
  if degraded:
    result["degraded"] = {"file": str(degraded.path), **degraded.changes()}
  for name in names:
    metric, parts = metrics.get(name), aligned
    if abs(estimate.lag_samples) <= metric.tolerated_lag_seconds * rate:
      parts = _as_they_are(reference, estimate, *others)
    result |= _scores(name, rate, details, *(part[None] for part in parts))
  settings = {name: metrics.get(name).settings for name in names}
  return result | {"settings": settings}


def _as_they_are(
  reference: Track, estimate: Track, *others: Track
) -> list[np.ndarray]:
  """What all have in common, with the lag of the estimate."""
  everything = (reference, estimate, *others)
  lags = [0, 0, *(track.lag_samples for track in others)]
  return common_part([track.audio for track in everything], lags)


def _scores(
  name: str,
  sample_rate: int,
  details: bool,
  target: np.ndarray,
  estimate: np.ndarray,
  degraded: np.ndarray | None = None,
) -> dict:
  """A metric by its name, and what is told along with it."""
  metric = metrics.get(name)
  options = {"sample_rate": sample_rate}
  if name == "peaq" and details:
    # The grade once more would take as long again.
    found = peaq.analyse(estimate, target, **options)
    movs = {key: number(x.item()) for key, x in found.movs.items()}
    return {name: number(found.odg.item()), "peaq_movs": movs}
  if metric.embed is not None:
    embed = functools.partial(metric.embed, **options)
    sets = frechet.statistics_of_audio(embed, estimate, target)
    score = frechet.distance(*sets)
    windows = [statistics.count for statistics in sets]
    return {name: number(score), f"{name}_windows": windows}
  score = metric.score(estimate, target, degraded, **options)
  return {name: number(score.item())}


def _check_metrics(
  names: Sequence[str], channels: int, sample_rate: int, has_degraded: bool
) -> None:
  for name in names:
    metric = metrics.get(name)
    if metric.needs_degraded and not has_degraded:
      raise UserError(
        f"{name} needs what the estimates were made of; add --degraded=FILE"
      )
    try:
      metric.check(sample_rate=sample_rate, channels=channels)
    except UserError as error:
      raise UserError(f"{name}: {error}") from error


def chosen_metrics(text: str, has_degraded: bool) -> list[str]:
  """The metrics of `--metrics`.

  Args:
    text: names with commas between; "all" is every metric of single files.
    has_degraded: whether those that need the degraded input are among "all".

  Raises:
    UserError: there is no such metric, or none is named.
  """
  if text == "all":
    return [
      name
      for name, metric in metrics.METRICS.items()
      if metric.embed is None and (has_degraded or not metric.needs_degraded)
    ]
  names = list(dict.fromkeys(x.strip() for x in text.split(",") if x.strip()))
  for name in names:
    metrics.get(name)
  if not names:
    raise UserError("--metrics= names none; name some, or 'all'")
  return names


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.score",
    description="Scores recordings against a reference. Estimates are brought "
    "to the reference's sample rate and freed of a lag; what was done is "
    "logged, and part of the JSON objects.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("reference", type=Path, help="the clean recording")
  add("estimates", type=Path, nargs="+", metavar="estimate", help="to score")
  add(
    "--metrics",
    default=DEFAULT_METRICS,
    metavar="NAMES",
    help=f"among {', '.join(metrics.METRICS)}, or all; "
    f"default: {DEFAULT_METRICS}",
  )
  add(
    "--degraded",
    type=Path,
    metavar="FILE",
    help="what the estimates were made of, for metrics that need it",
  )
  add("--json", action="store_true", help="one JSON object a line and estimate")
  add("--details", action="store_true", help="add PEAQ's 11 output variables")
  add("--mono", action="store_true", help="compare the means of the channels")
  add(
    "--max-lag-seconds",
    type=float,
    default=MAX_LAG_SECONDS,
    metavar="S",
    help=f"largest lag to look for, up to 60 ({MAX_LAG_SECONDS})",
  )
  add("--no-align", action="store_true", help="leave lags as they are")
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """The command line, see `--help`."""
  log.setup()
  with one_line_errors():
    options = vars(_parser().parse_args(argv))
    as_json, no_align = options.pop("json"), options.pop("no_align")
    names = chosen_metrics(
      options.pop("metrics"), options["degraded"] is not None
    )
    if options["details"] and "peaq" not in names:
      raise UserError("--details are PEAQ's; add peaq to --metrics")
    if not 0.0 <= options["max_lag_seconds"] <= 60.0:
      raise UserError("--max-lag-seconds must be between 0 and 60")
    if no_align:
      options["max_lag_seconds"] = 0.0
    results = score_files(names=names, **options)
    if not as_json:
      print(score_table.table(list(results), names))
      return
    for result in results:
      print(json.dumps(result, allow_nan=False), flush=True)


if __name__ == "__main__":
  main()
