"""All numbers of a task on a data set, in full, a CSV row each."""

from collections.abc import Iterator, Mapping
from typing import Any

from distortion_removal import metrics
from distortion_removal.report.methods import method_label
from distortion_removal.report.statistics import Comparison, Summary
from distortion_removal.report.tables import formats
from distortion_removal.report.tables.analysis import Analysis, Study

# Of a metric of sets, `value` is the score; of others it is empty. A row whose
# level is "all" is of all levels together.
COLUMNS = (
  *("source", "dataset", "task", "method", "method_label"),
  *("metric", "unit", "direction", "level_name", "level"),
  *("excerpts", "scores", "undefined", "failed", "missing"),
  *("q1", "median", "q3", "mean", "mean_low", "mean_high"),
  *("value", "windows", "reference_windows"),
  *("compared_with", "pairs", "median_difference", "p", "p_holm"),
  *("left_out", "settings"),
)
_OWN = "evaluation"
_ALL = "all"


def text(study: Study) -> str:
  """The CSV file's text."""
  results = study.results
  rows = []
  for name in results.metrics:
    shared = {
      "source": _OWN,
      "dataset": results.dataset,
      "task": results.task,
      "metric": name,
      "unit": metrics.get(name).unit,
      "direction": metrics.get(name).direction,
      "level_name": results.level_name,
      "settings": results.settings.get(name),
    }
    own = _scores if name in study.analyses else _systems
    for row in (*own(study, name), *_left_out(study), *_published(study, name)):
      label = {"method_label": method_label(row["method"])}
      rows.append(shared | label | row)
  return formats.csv_text(COLUMNS, rows)


def _scores(study: Study, name: str) -> Iterator[dict[str, Any]]:
  analysis = study.analyses[name]
  levels = (*study.results.levels, _ALL)
  for method, summaries in analysis.summaries.items():
    for k, (level, summary) in enumerate(zip(levels, summaries, strict=True)):
      row = {"method": method, "level": level} | _numbers(summary)
      row |= _counts(study, analysis, method, k)
      if level == _ALL and method in analysis.comparisons:
        row |= _comparison(analysis.comparisons[method])
      yield row


def _numbers(summary: Summary) -> dict[str, float]:
  return {
    "excerpts": summary.excerpts,
    "scores": summary.count,
    "q1": summary.q1,
    "median": summary.median,
    "q3": summary.q3,
    "mean": summary.mean,
    "mean_low": summary.low,
    "mean_high": summary.high,
  }


def _counts(
  study: Study, analysis: Analysis, method: str, k: int
) -> dict[str, int]:
  return {
    "undefined": int(analysis.undefined[method][k]),
    "failed": int(study.failed[method][k]),
    "missing": int(analysis.missing[method][k]),
  }


def _comparison(comparison: Comparison) -> dict[str, Any]:
  return {
    "compared_with": comparison.reference,
    "pairs": comparison.count,
    "median_difference": comparison.difference,
    "p": comparison.p,
    "p_holm": comparison.p_holm,
  }


def _systems(study: Study, name: str) -> Iterator[dict[str, Any]]:
  level_name = study.results.level_name
  for row in study.results.systems:
    if name in row:
      windows = row.get(f"{name}_windows") or (None, None)
      level = row[level_name]
      yield {
        "method": row["method"],
        "level": _ALL if level is None else level,
        "failed": _failed(study, row["method"], level),
        "value": row[name],
        "windows": windows[0],
        "reference_windows": windows[1],
      }


def _failed(study: Study, method: str, level: float | None) -> int | None:
  """How often a method failed at a level or, None, at all of them."""
  levels = (*study.results.levels, None)
  if method not in study.failed or level not in levels:
    return None
  return int(study.failed[method][levels.index(level)])


def _left_out(study: Study) -> Iterator[dict[str, Any]]:
  for method, why in study.results.left_out.items():
    yield {"method": method, "level": _ALL, "left_out": why}


def _published(study: Study, name: str) -> Iterator[dict[str, Any]]:
  theirs = study.published
  if theirs is None:
    return
  shared: Mapping[str, Any] = {
    "source": theirs.citation,
    "dataset": theirs.dataset,
    "settings": theirs.source,
  }
  for method in theirs.methods(name):
    row = {"method": method, "level": _ALL}
    if name in theirs.systems:
      row["value"] = theirs.systems[name][method]
    else:
      quartiles = theirs.quartiles[name][method]
      row |= zip(("q1", "median", "q3"), quartiles, strict=True)
    yield {**shared, **row}
    means = theirs.mean_by_level.get(name, {}).get(method, {})
    for level, mean in means.items():
      yield {**shared, "method": method, "level": level, "mean": mean}
