"""The sentences below tables: what the numbers are, and what is missing."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from distortion_removal import metrics
from distortion_removal.report.methods import (
  in_order,
  is_oracle,
  method_label,
)
from distortion_removal.report.results import Results
from distortion_removal.report.statistics import (
  CONFIDENCE,
  RESAMPLES,
)
from distortion_removal.report.tables import by_level, cells
from distortion_removal.report.tables.analysis import Analysis, Study

TIMES = "\N{MULTIPLICATION SIGN}"

QUARTILES = (
  "Medians with [lower, upper quartile], linear between scores, over excerpts; "
  '"all": over excerpts and levels.'
)
INTERVALS = (
  f"Means ± half of the {100 * CONFIDENCE:.0f} % interval of the mean "
  f"(percentile bootstrap, {RESAMPLES} draws of excerpts, each with all its "
  "levels; one seed)."
)
COMPARISONS = (
  "Wilcoxon signed-rank tests, two-sided, of each method against the best "
  "baseline: of those that are neither networks nor oracles the one with the "
  "best median, by these scores; the pairs are excerpts, each with its mean "
  "over the levels at which both have scores; p corrected after Holm for the "
  "tests of a metric."
)


def marks(analyses: Iterable[Analysis]) -> list[str]:
  """What the stars mean, and what each metric's methods are held against."""
  told = [
    f"{analysis.metric.label} against {method_label(comparison.reference)}"
    for analysis in analyses
    for comparison in itertools.islice(analysis.comparisons.values(), 1)
  ]
  if not told:
    return []
  which = "the" if len(told) == 1 else "each the"
  stars = (
    f"{cells.legend()}, all levels together: {', '.join(told)}, {which} best "
    "baseline by median."
  )
  return [stars, COMPARISONS]


def gaps(results: Results) -> list[str]:
  """What does not apply or could not be computed, and what is no competitor."""
  oracles = [method_label(m) for m in results.methods if is_oracle(m)]
  return [
    *(
      f"{by_level.GAP}: {method_label(method)} {why}."
      for method, why in results.left_out.items()
    ),
    *(
      f"{_label(name)} is left out: {why}."
      for name, why in results.metrics_left_out.items()
    ),
    *(f"{name}: an oracle, it is told the clean signal." for name in oracles),
  ]


def losses(study: Study, analyses: Iterable[Analysis] = ()) -> list[str]:
  """Excerpts that have no score: failed, undefined, not evaluated."""
  total = len(study.results.files) * len(study.results.levels)
  found = _counted("Failed", study.failed, total)
  for analysis in analyses:
    label = analysis.metric.label
    found += _counted(f"{label} undefined", analysis.undefined, total)
    found += _counted(f"{label} not evaluated", analysis.missing, total)
  return found


def _counted(
  what: str, counts: Mapping[str, np.ndarray], total: int
) -> list[str]:
  each = ", ".join(
    f"{method_label(method)} {count[-1]}"
    for method, count in counts.items()
    if count[-1]
  )
  of = f"of {total} excerpts {TIMES} levels, left out"
  return [f"{what}: {each} {of}."] if each else []


def _label(name: str) -> str:
  metric = metrics.METRICS.get(name)
  return metric.label if metric else name


def common(
  study: Study, columns: Sequence[str], *, with_paper: bool = True
) -> list[str]:
  """Below every table: gaps, settings of its metrics, the paper's rows."""
  shown = with_paper and published_methods(study, columns)
  return [
    *gaps(study.results),
    *settings(study.results, columns),
    *(of_published(study, columns) if shown else []),
  ]


def published_methods(study: Study, columns: Sequence[str]) -> tuple[str, ...]:
  """The methods that the paper has any of these metrics of."""
  if study.published is None:
    return ()
  return in_order(itertools.chain(*map(study.published.methods, columns)))


def counted(count: int, noun: str) -> str:
  """The count and the noun, in the plural unless it is one."""
  return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def settings(results: Results, names: Iterable[str]) -> list[str]:
  """What one must know to compare the metrics with those of others."""
  return [
    f"{_label(name)}: {results.settings[name]}."
    for name in names
    if results.settings.get(name)
  ]


def windows(results: Results, name: str) -> list[str]:
  """What a metric of sets is, and how many windows it was computed from."""
  counts = [row.get(f"{name}_windows") for row in results.systems]
  known = [count for count in counts if count]
  told = [by_level.windows(known)] if known else []
  return [
    " ".join(
      [
        f"{_label(name)}: one number for all excerpts of a level or, not a "
        "mean, of all levels.",
        *told,
        "Fewer windows give a higher number: compare like with like.",
      ]
    )
  ]


def of_published(study: Study, columns: Sequence[str]) -> list[str]:
  """Where the paper's rows are from, and how far they can be compared."""
  theirs, dataset = study.published, study.results.dataset
  if theirs.is_same_corpus(dataset):
    relation = f"the same corpus as {dataset}, though the excerpts may differ"
  else:
    relation = f"other recordings than {dataset}"
  exact = ", ".join(
    f"{_label(name)} to {theirs.resolution[name]:g}"
    for name in columns
    if theirs.methods(name)
  )
  notes = [
    f"{theirs.citation}: {theirs.source} ({exact}); of {theirs.dataset}, "
    f"{theirs.sample_rate / 1000:g} kHz, mono: {relation}."
  ]
  rate = study.results.sample_rate
  if rate and rate != theirs.sample_rate:
    notes.append(
      f"{dataset} is at {rate / 1000:g} kHz: numbers at another sample rate "
      "are not the same measure."
    )
  return [*notes, *theirs.notes]
