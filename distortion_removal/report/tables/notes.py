"""The sentences below tables: what the numbers are, and what is missing."""

import itertools
from collections.abc import Iterable, Sequence

from distortion_removal.metrics import METRICS
from distortion_removal.report.analysis import Analysis, Study
from distortion_removal.report.methods import family, method_label
from distortion_removal.report.results import Results
from distortion_removal.report.statistics import CONFIDENCE, RESAMPLES
from distortion_removal.report.tables.cells import GAP, LEGEND
from distortion_removal.report.tables.published import Published

QUARTILES = (
  "Medians with [lower, upper quartile], linear between scores, over excerpts; "
  '"all": over excerpts and levels.'
)
INTERVALS = (
  f"Means ± half of their {100 * CONFIDENCE:.0f} % interval (percentile "
  f"bootstrap, {RESAMPLES} draws of excerpts with all levels; one seed)."
)
COMPARISONS = (
  "Wilcoxon signed-rank tests, two-sided, of each method against the best "
  "baseline: the one with the best median, by these scores, of the methods "
  "that are neither networks nor oracles; the pairs are excerpts, each with "
  "its mean over the levels at which both have scores; p corrected after Holm "
  "for the tests of a metric."
)


def best_baselines(analyses: Iterable[Analysis]) -> list[str]:
  """Explains the stars, and names each metric's best baseline."""
  named = [
    f"{analysis.metric.label}: {method_label(comparison.reference)}"
    for analysis in analyses
    for comparison in itertools.islice(analysis.comparisons.values(), 1)
  ]
  if not named:
    return []
  baselines = f"against the best baseline by median ({'; '.join(named)})"
  return [f"{LEGEND}, all levels together, {baselines}.", COMPARISONS]


def gaps(results: Results) -> list[str]:
  """Lists the methods and metrics that are left out, and why."""
  methods, names = results.left_out.items(), results.metrics_left_out.items()
  return [
    *(f"{method_label(m)} is left out ({GAP}): {why}." for m, why in methods),
    *(f"{_label(name)} is left out: {why}." for name, why in names),
  ]


def losses(study: Study, names: Iterable[str]) -> list[str]:
  """Counts excerpts without a score: failed, undefined, not evaluated."""
  results = study.results
  of_all = f"of {len(results.files)} excerpts"
  failed: dict[str, set[str]] = {}  # names of excerpts by method
  for row in results.rows:
    if row.get("error"):
      failed.setdefault(method_label(row["method"]), set()).add(row["file"])
  found = [
    f"{len(files)} {of_all} failed for {label}: see results.jsonl."
    for label, files in failed.items()
  ]
  partly = {row["file"] for row in results.rows if row.get("metric_errors")}
  if partly:
    found.append(
      f"Metrics failed on {len(partly)} {of_all}: see metric_errors in "
      "results.jsonl."
    )
  for name in (name for name in names if name in study.analyses):
    analysis = study.analyses[name]
    undefined = counted(analysis.undefined, "undefined score")
    missing = counted(analysis.missing, "score")
    if analysis.undefined:
      found.append(f"{_label(name)}: {undefined} left out.")
    if analysis.missing:
      found.append(f"{_label(name)}: {missing} not evaluated.")
  return found


def common(study: Study, names: Sequence[str]) -> list[str]:
  """Returns the notes of every table: what is missing, metrics' settings."""
  results = study.results
  oracles = [method_label(m) for m in results.methods if family(m) == "oracle"]
  return [
    *losses(study, names),
    *gaps(results),
    *(f"{name}: an oracle, it knows the clean signal." for name in oracles),
    *(
      f"{_label(name)}: {results.settings[name]}."
      for name in names
      if results.settings.get(name)
    ),
  ]


def windows(results: Results, name: str) -> str:
  """Explains a metric of sets, and counts the windows it was computed from."""
  counts = [row.get(f"{name}_windows") for row in results.systems]
  estimates, references = zip(*filter(None, counts), strict=True)
  return (
    f"{_label(name)}: one number for all excerpts of a level or, not a mean, "
    f"of all levels. From {min(estimates)} (a level) to {max(estimates)} (all) "
    f"windows of each method; {max(references)} of the clean audio. Fewer "
    "windows give a higher number: compare like with like."
  )


def of_published(theirs: Published, results: Results) -> list[str]:
  """Tells where the paper's rows are from, and how far they compare."""
  is_same = (results.dataset, theirs.dataset) == ("signaltrain", "SignalTrain")
  same, other = "the same corpus, maybe other excerpts", "other recordings than"
  notes = [
    f"{theirs.citation}: {theirs.source}; of {theirs.dataset}, "
    f"{theirs.sample_rate / 1000:g} kHz, mono: "
    f"{same if is_same else f'{other} {results.dataset}'}."
  ]
  if results.sample_rate != theirs.sample_rate:
    notes.append(
      f"{results.dataset} is at {results.sample_rate / 1000:g} kHz: numbers at "
      "another sample rate are not the same measure."
    )
  return [*notes, *theirs.notes]


def counted(count: int, noun: str) -> str:
  """Returns the count and the noun, in the plural unless it is one."""
  return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _label(name: str) -> str:
  return METRICS[name].label if name in METRICS else name
