"""Statistics of results: what tables and figures show."""

import dataclasses
from collections.abc import Mapping, Sequence

from distortion_removal import metrics
from distortion_removal.metrics import Metric
from distortion_removal.report import statistics
from distortion_removal.report.results import Results, file_stems
from distortion_removal.report.statistics import Comparison, Summary


@dataclasses.dataclass(frozen=True)
class Analysis:
  """Statistics of one metric of excerpts."""

  metric: Metric
  # By method, of each level and, last, of all levels together.
  summaries: Mapping[str, tuple[Summary, ...]]
  # By method, over all levels; none for the baseline that others are compared
  # with, and for methods without scores.
  comparisons: Mapping[str, Comparison]
  undefined: int  # scores that the metric left undefined
  missing: int  # scores that were not evaluated


@dataclasses.dataclass(frozen=True)
class Study:
  """Results and their statistics."""

  results: Results
  stem: str  # DATASET_TASK, for names of files
  analyses: Mapping[str, Analysis]  # by metric; metrics of sets have none


def studies(results: Sequence[Results]) -> list[Study]:
  """Analyses each of several results."""
  stems = file_stems(results)
  found = []
  for one, stem in zip(results, stems, strict=True):
    names = [name for name in one.metrics if metrics.get(name).embed is None]
    analyses = {name: _analyse(one, name) for name in names}
    found.append(Study(one, stem, analyses))
  return found


def _analyse(results: Results, name: str) -> Analysis:
  metric, scores = metrics.get(name), results.scores(name)
  summaries = statistics.summaries(scores)
  failed = sum(results.failures.values())
  evaluated = sum(name in row for row in results.rows if not row.get("error"))
  places = len(scores) * len(results.files) * len(results.levels)
  return Analysis(
    metric=metric,
    summaries=summaries,
    comparisons=statistics.comparisons(
      scores, is_higher_better=metric.direction == "higher"
    ),
    undefined=evaluated - sum(of[-1].count for of in summaries.values()),
    missing=places - failed - evaluated,
  )
