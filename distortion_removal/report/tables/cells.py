"""Scores as the text of a table's cells."""

import math
from collections.abc import Sequence

from distortion_removal import metrics
from distortion_removal.metrics import Metric
from distortion_removal.report.statistics import Summary
from distortion_removal.report.tables.published import Published

GAP = "\N{EN DASH}"  # where a method does not apply
UNKNOWN = "n/a"
_STAR = "\N{ASTERISK OPERATOR}"
LEGEND = f"{_STAR} p < 0.05, {2 * _STAR} p < 0.01, {3 * _STAR} p < 0.001"


def quartiles(values: Sequence[float], metric: Metric) -> str:
  """Returns "median [q1, q3]" of a metric's (q1, median, q3)."""
  if math.isnan(values[1]):
    return UNKNOWN
  q1, median, q3 = (metric.text(value) for value in values)
  return f"{median} [{q1}, {q3}]"


def published_score(theirs: Published, name: str, method: str) -> str:
  """Returns the paper's score over all levels; "" where it has none."""
  metric = metrics.get(name)
  if name in theirs.systems:
    value = theirs.systems[name].get(method)
    return "" if value is None else metric.text(value)
  values = theirs.quartiles.get(name, {}).get(method)
  return quartiles(values, metric) if values else ""


def interval(summary: Summary, metric: Metric) -> str:
  """Returns the mean ± half of its interval, if it has one."""
  mean = metric.text(summary.mean)
  half = (summary.high - summary.low) / 2
  return mean if math.isnan(half) else f"{mean} ± {metric.text(half)}"


def p_value(p: float) -> str:
  """Returns a p-value with three digits."""
  if math.isnan(p):
    return UNKNOWN
  return "<0.001" if p < 0.001 else f"{p:.3f}"


def stars(p: float) -> str:
  """Returns the marks of `LEGEND` for a corrected p."""
  return _STAR * sum(p < limit for limit in (0.05, 0.01, 0.001))
