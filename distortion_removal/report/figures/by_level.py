"""Mean scores against the level, with their confidence as a band."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distortion_removal import metrics
from distortion_removal.report.figures import canvas
from distortion_removal.report.results import Results
from distortion_removal.report.statistics import Summary, summaries
from distortion_removal.report.styles import Style

_MOST_TICKS = 8
# Markers that look small, in points.
_LARGE = {"*": 7.0, "d": 5.0, "P": 5.0}


@canvas.look()
def draw(results: Results, looks: Mapping[str, Style]) -> Figure | None:
  """A panel for each of the paper's metrics of excerpts, a line per method.

  Lines are means over excerpts, bands their 95 % confidence intervals. None of
  a task with one level, or without any of these metrics.

  Args:
    results: of one task.
    looks: of the methods that have results.
  """
  listed = [m for m in canvas.PAPER_METRICS if metrics.get(m).embed is None]
  if len(results.levels) < 2 or not {*listed} & {*results.metrics}:
    return None
  handles = _handles(results, looks)
  rows = _legend_rows(handles)
  height = 2.6 + 0.17 * rows
  figure = Figure(figsize=(canvas.TWO_COLUMNS, height), layout="constrained")
  axes = figure.subplots(1, len(listed), sharex=True)
  for axis, metric in zip(axes, listed, strict=True):
    axis.set_ylabel(canvas.score_label(metric), parse_math=True, labelpad=2)
    axis.set_xlabel(_level_label(results))
    if metric not in results.metrics:
      axis.set_yticks([])
      canvas.note(axis, canvas.why_missing(results, metric))
      continue
    axis.grid()
    for method, found in summaries(results.scores(metric)).items():
      _line(axis, results.levels, found[:-1], looks[method])
  if len(results.levels) <= _MOST_TICKS:
    names = [f"{level:g}" for level in results.levels]
    axes[0].set_xticks(results.levels, names)
  figure.legend(
    handles=handles,
    loc="outside lower center",
    ncols=math.ceil(len(handles) / rows),
    handlelength=3.0,
    columnspacing=1.2,
  )
  figure.suptitle(canvas.scope(results))
  return figure


def _line(
  axis: Axes,
  levels: Sequence[float],
  found: Sequence[Summary],
  look: Style,
) -> None:
  """Draws the means at every level; where there are no scores is a gap."""
  low, high = [x.low for x in found], [x.high for x in found]
  axis.fill_between(levels, low, high, color=look.colour, alpha=0.2, lw=0)
  axis.plot(levels, [x.mean for x in found], **_properties(look))


def _properties(look: Style) -> dict:
  return {
    "color": look.colour,
    "linestyle": look.dash,
    "marker": look.marker,
    "markersize": _LARGE.get(look.marker, 4.0),
    "markeredgecolor": look.colour if look.marker == "x" else "white",
    "markeredgewidth": 1.0 if look.marker == "x" else 0.4,
  }


def _level_label(results: Results) -> str:
  unit = f" / {results.level_unit}" if results.level_unit else ""
  return f"{results.level_label}{unit}"


def _handles(results: Results, looks: Mapping[str, Style]) -> list[Line2D]:
  return [
    Line2D([], [], label=canvas.short_label(m, 26), **_properties(looks[m]))
    for m in results.methods
  ]


def _legend_rows(handles: Sequence[Line2D]) -> int:
  # In inches; a character takes 0.06, what goes with it 0.6.
  needed = sum(0.6 + 0.06 * len(handle.get_label()) for handle in handles)
  return math.ceil(needed / canvas.TWO_COLUMNS)
