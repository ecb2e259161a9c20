"""Tables of scores: a row per method, a column per level."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from distortion_removal.effects import Effect
from distortion_removal.metrics import Metric

GAP = "\N{EN DASH}"  # where a method does not apply

# By method, by level; the level None is all of them at once.
Scores = dict[str, dict[float | None, list[float]]]


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


def text(value: float | None, metric: Metric) -> str:
  """A score with as many digits as it is worth."""
  if value is None or math.isnan(value):
    return "n/a"
  if math.isinf(metric.high) and abs(value) < 1:
    return f"{value:.3g}"
  return f"{value:.{3 if metric.high - metric.low <= 2 else 2}f}"


def median_table(
  scores: Scores,
  metric: Metric,
  effect: Effect,
  left_out: Collection[str] = (),
) -> str:
  """Median scores as a Markdown table; the last column is over all levels.

  Undefined scores are left out, and counted below the table. Methods that do
  not apply, `left_out`, have a row of dashes.
  """
  pooled = {
    method: by_level
    | {None: [x for column in by_level.values() for x in column]}
    for method, by_level in scores.items()
  }
  undefined = sum(np.isnan(by[None]).sum() for by in pooled.values())
  lines = [
    f"Median {heading(metric)} by {effect.level_label} ({effect.label})",
    *_body(pooled, metric, effect, left_out),
  ]
  if undefined:
    lines += ["", f"{undefined} undefined scores are left out."]
  return "\n".join(lines)


def system_table(
  scores: Scores,
  metric: Metric,
  effect: Effect,
  left_out: Collection[str] = (),
) -> str:
  """The scores of whole systems as a Markdown table, see `median_table`.

  One number for all excerpts of a level; the last column is not a mean of the
  others but the metric of all levels' excerpts together.
  """
  title = f"{heading(metric)} by {effect.level_label} ({effect.label})"
  return "\n".join([title, *_body(scores, metric, effect, left_out)])


def windows(counts: Sequence[tuple[int, int]]) -> str:
  """What a metric of sets was computed from.

  Args:
    counts: of windows of a method and of the clean audio, at least one pair.
  """
  estimates, references = zip(*counts, strict=True)
  return (
    f"From {min(estimates)} (a level) to {max(estimates)} (all) windows of "
    f"each method; {max(references)} of the clean audio."
  )


def _body(
  scores: Scores, metric: Metric, effect: Effect, left_out: Collection[str]
) -> list[str]:
  levels = sorted({x for by in scores.values() for x in by if x is not None})
  names = [f"{level:g} {effect.unit}" for level in levels]
  head = ["method", *names, "all"]
  lines = ["", _line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
  for method, by_level in scores.items():
    columns = [by_level.get(level, []) for level in [*levels, None]]
    lines.append(_line([method, *(text(_median(x), metric) for x in columns)]))
  for method in left_out:
    lines.append(_line([method, *[GAP] * (len(head) - 1)]))
  return lines


def _median(values: Sequence[float]) -> float | None:
  defined = [value for value in values if not np.isnan(value)]
  return float(np.median(defined)) if defined else None


def _line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(cells)} |"
