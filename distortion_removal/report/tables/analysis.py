"""What tables say of a task: statistics, comparisons and what is lacking."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from distortion_removal import metrics
from distortion_removal.metrics import Metric
from distortion_removal.report import statistics
from distortion_removal.report.result_files import has_failed
from distortion_removal.report.results import Results
from distortion_removal.report.statistics import Comparison, Summary
from distortion_removal.report.tables import published
from distortion_removal.report.tables.published import Published


@dataclasses.dataclass(frozen=True)
class Analysis:
  """Of one metric of excerpts, by method.

  The arrays `[levels + 1]`, and the summaries, have all levels together last.

  Attributes:
    name: of the metric.
    metric: the metric.
    summaries: of each level, then of all.
    comparisons: of all levels, with the best baseline; none for itself and for
      methods without scores.
    undefined: where the metric has no value.
    missing: that were not evaluated.
  """

  name: str
  metric: Metric
  summaries: Mapping[str, tuple[Summary, ...]]
  comparisons: Mapping[str, Comparison]
  undefined: Mapping[str, np.ndarray]
  missing: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Study:
  """Results, and all that tables say of them.

  Attributes:
    results: of one task on one data set.
    analyses: of the metrics of excerpts, by name.
    failed: excerpts × levels where a method failed, `[levels + 1]` as in the
      analyses; they lack in every metric.
    published: the paper's numbers of the task, where there are.
    stem: what the names of files and tables start with.
  """

  results: Results
  analyses: Mapping[str, Analysis]
  failed: Mapping[str, np.ndarray]
  published: Published | None
  stem: str


def study(results: Results, stem: str) -> Study:
  """Analyses results."""
  failed = results.where(has_failed)
  analyses = {
    name: _analyse(results, name, failed)
    for name in results.metrics
    if metrics.get(name).embed is None
  }
  return Study(
    results=results,
    analyses=analyses,
    failed=_counts(failed),
    published=published.get(results.task),
    stem=stem,
  )


def _analyse(
  results: Results, name: str, failed: Mapping[str, np.ndarray]
) -> Analysis:
  metric = metrics.get(name)
  scores = results.scores(name)
  known = results.where(lambda row: name in row and not has_failed(row))
  undefined = {m: known[m] & np.isnan(scores[m]) for m in scores}
  missing = {m: ~(known[m] | failed[m]) for m in scores}
  is_higher_better = metric.direction == "higher"
  return Analysis(
    name=name,
    metric=metric,
    summaries=statistics.summaries(scores),
    comparisons=statistics.comparisons(
      scores, is_higher_better=is_higher_better
    ),
    undefined=_counts(undefined),
    missing=_counts(missing),
  )


def _counts(tables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """How many excerpts at each level and, last, at all of them."""
  return {
    method: np.append(table.sum(axis=0), table.sum())
    for method, table in tables.items()
  }
