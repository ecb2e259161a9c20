"""Scores against the level, with their confidence as a band."""

import math
from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distortion_removal.report.analysis import Study
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import Style

# Markers that look small, in points.
_LARGE = {"*": 7.0, "d": 5.0, "P": 5.0, ".": 7.0, "|": 6.0}


@drawing.look()
def draw(
  study: Study, names: Sequence[str], looks: Mapping[str, Style]
) -> Figure:
  """Draws a panel for each metric, a line per method.

  Lines are means over excerpts, bands their 95 % confidence intervals; of a
  metric of sets, lines are its numbers. The panel of a metric without scores
  tells why.
  """
  results = study.results
  labels = {m: drawing.short_label(m, 26) for m in results.methods}
  rows = _legend_rows(labels.values())
  height = 2.6 + 0.17 * rows
  figure = Figure(figsize=(drawing.TWO_COLUMNS, height), layout="constrained")
  axes = figure.subplots(1, len(names), sharex=True, squeeze=False)[0]
  unit = f" / {results.level_unit}" if results.level_unit else ""
  for axis, name in zip(axes, names, strict=True):
    axis.set_ylabel(drawing.score_label(name), parse_math=True, labelpad=2)
    axis.set_xlabel(f"{results.level_label}{unit}")
    if name not in results.metrics:
      axis.set_yticks([])
      drawing.note_missing(axis, results, name)
      continue
    axis.grid()
    _draw_lines(axis, study, name, looks)
  if len(results.levels) <= 8:  # more would overlap
    axes[0].set_xticks(results.levels, [f"{x:g}" for x in results.levels])
  figure.legend(
    handles=[
      Line2D([], [], label=label, **_properties(looks[method]))
      for method, label in labels.items()
    ],
    loc="outside lower center",
    ncols=math.ceil(len(labels) / rows),
    handlelength=3.0,
    columnspacing=1.2,
  )
  title = drawing.scope(results)
  if any(name in study.analyses for name in names):
    title += ": means with 95 % intervals"
  figure.suptitle(title)
  return figure


def _draw_lines(
  axis: Axes, study: Study, name: str, looks: Mapping[str, Style]
) -> None:
  """Draws the scores at every level; a level without scores is a gap."""
  levels = study.results.levels
  if name not in study.analyses:
    for method, by_level in study.results.system_scores(name).items():
      scores = [by_level.get(level, math.nan) for level in levels]
      axis.plot(levels, scores, **_properties(looks[method]))
    return
  for method, summaries in study.analyses[name].summaries.items():
    of_levels = summaries[:-1]
    low, high = [x.low for x in of_levels], [x.high for x in of_levels]
    colour = looks[method].colour
    axis.fill_between(levels, low, high, color=colour, alpha=0.2, lw=0)
    means = [x.mean for x in of_levels]
    axis.plot(levels, means, **_properties(looks[method]))


def _properties(style: Style) -> dict:
  is_filled = style.marker in Line2D.filled_markers
  return {
    "color": style.colour,
    "linestyle": style.dash,
    "marker": style.marker,
    "markersize": _LARGE.get(style.marker, 4.0),
    "markeredgecolor": "white" if is_filled else style.colour,
    "markeredgewidth": 0.4 if is_filled else 1.0,
  }


def _legend_rows(labels: Collection[str]) -> int:
  # In inches; a character takes 0.06, the sample of its line 0.6.
  needed = sum(0.6 + 0.06 * len(label) for label in labels)
  return math.ceil(needed / drawing.TWO_COLUMNS)
