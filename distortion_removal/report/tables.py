"""Tables of scores: a row per method, a column per level."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from distortion_removal.effects import Effect
from distortion_removal.metrics import Metric

Scores = dict[str, dict[float, list[float]]]


def collect(rows: Iterable[Mapping], level_name: str, metric: str) -> Scores:
  """Gathers result rows as values by method, by level.

  Args:
    rows: as `evaluate` writes them; an undefined score is None.
    level_name: the column that holds the level.
    metric: the column that holds the score.

  Returns:
    `scores[method][level]`, a value per excerpt, NaN where undefined.
  """
  scores: Scores = {}
  for row in rows:
    value = np.nan if row[metric] is None else row[metric]
    by_level = scores.setdefault(row["method"], {})
    by_level.setdefault(row[level_name], []).append(value)
  return scores


def heading(metric: Metric) -> str:
  """A metric's name with its unit and the direction that is better."""
  arrow = {"higher": "↑", "lower": "↓"}[metric.direction]
  unit = f" / {metric.unit}" if metric.unit else ""
  return f"{metric.label}{unit} {arrow}"


def median_table(scores: Scores, metric: Metric, effect: Effect) -> str:
  """Median scores as a Markdown table; the last column is over all levels.

  Undefined scores are left out, and counted below the table.
  """
  levels = sorted({level for by in scores.values() for level in by})
  names = [f"{level:g} {effect.unit}" for level in levels]
  head = ["method", *names, "all"]
  lines = [
    f"Median {heading(metric)} by {effect.level_label} ({effect.label})",
    "",
    _line(head),
    _line(["---"] + ["---:"] * (len(head) - 1)),
  ]
  undefined = 0
  for method, by_level in scores.items():
    columns = [by_level.get(level, []) for level in levels]
    everything = [value for column in columns for value in column]
    undefined += int(np.isnan(everything).sum())
    cells = [_median(column) for column in [*columns, everything]]
    lines.append(_line([method, *cells]))
  if undefined:
    lines += ["", f"{undefined} undefined scores are left out."]
  return "\n".join(lines)


def _median(values: Sequence[float]) -> str:
  defined = [value for value in values if not np.isnan(value)]
  return f"{np.median(defined):.2f}" if defined else "n/a"


def _line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(cells)} |"
