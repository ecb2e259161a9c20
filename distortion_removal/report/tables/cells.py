"""The cells of tables: scores as text."""

import math
from collections.abc import Sequence

from distortion_removal.metrics import Metric
from distortion_removal.report.statistics import Summary
from distortion_removal.report.tables.by_level import text

UNKNOWN = "n/a"
_STAR = "\N{ASTERISK OPERATOR}"
_STARS = {0.001: 3, 0.01: 2, 0.05: 1}


def quartiles(summary: Summary, metric: Metric) -> str:
  """The median with the quartiles."""
  if not summary.count:
    return UNKNOWN
  return bracketed((summary.q1, summary.median, summary.q3), metric)


def bracketed(values: Sequence[float] | None, metric: Metric) -> str:
  """Lower quartile, median and upper quartile; empty of what there is not."""
  if values is None:
    return ""
  q1, median, q3 = (text(value, metric) for value in values)
  return f"{median} [{q1}, {q3}]"


def interval(summary: Summary, metric: Metric) -> str:
  """The mean ± half of its interval, if it has one."""
  mean = text(summary.mean, metric)
  half = (summary.high - summary.low) / 2
  return mean if math.isnan(half) else f"{mean} ± {text(half, metric)}"


def number(value: float | None, metric: Metric) -> str:
  """A number; empty of what there is not."""
  return "" if value is None else text(value, metric)


def p_value(p: float) -> str:
  """A p-value with three digits."""
  if math.isnan(p):
    return UNKNOWN
  return "<0.001" if p < 0.001 else f"{p:.3f}"


def stars(p: float) -> str:
  """The marks of a corrected p; none if it is not below 0.05, or NaN."""
  return _STAR * next((n for below, n in _STARS.items() if p < below), 0)


def legend() -> str:
  """What the marks mean."""
  reversed_stars = sorted(_STARS.items(), reverse=True)
  return ", ".join(f"{_STAR * n} p < {below}" for below, n in reversed_stars)
