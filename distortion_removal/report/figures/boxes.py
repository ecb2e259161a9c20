"""Box plots of a task: the spread of each method's scores over all levels."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.report.figures import drawing
from distortion_removal.report.methods import Style, in_order
from distortion_removal.report.results import PAPER_METRICS, Results

_HEIGHT = 0.62  # of a box, in rows


@drawing.look()
def draw(results: Results, looks: Mapping[str, Style]) -> Figure:
  """Draws a panel for each of the paper's metrics, a row for each method.

  Boxes hold the quartiles of all excerpts at all levels, whiskers reach to the
  farthest score within 1.5 interquartile ranges; scores beyond are not drawn.
  Notches are 95 % confidence intervals of the median. Where a metric or a
  method has no scores, words tell why.
  """
  methods = in_order([*results.methods, *results.left_out])
  height = 0.85 + 0.23 * len(methods)
  figure = Figure(figsize=(drawing.TWO_COLUMNS, height), layout="constrained")
  axes = figure.subplots(1, len(PAPER_METRICS), sharey=True)
  for axis, metric in zip(axes, PAPER_METRICS, strict=True):
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(drawing.score_label(metric), parse_math=True)
    if metric not in results.metrics:
      axis.set_xticks([])
      drawing.note_missing(axis, results, metric)
      continue
    axis.grid(axis="x")
    colours = {method: looks[method].colour for method in results.methods}
    if metrics.get(metric).embed is None:
      drawn = _draw_boxes(axis, results.scores(metric), colours, methods)
    else:
      drawn = _draw_bars(axis, results.system_scores(metric), colours, methods)
    for method in set(methods) - drawn:
      drawing.note(axis, _reason(results, method), row=methods.index(method))
    if metric == "peaq" and drawn:
      axis.set_xlim(-4.1, 0.3)  # the grade's own range, so that tasks compare
  labels = [drawing.short_label(method, 26) for method in methods]
  axes[0].set_yticks(range(len(methods)), labels)
  axes[0].set_ylim(len(methods) - 0.4, -0.6)
  figure.align_xlabels()
  figure.suptitle(drawing.scope(results))
  return figure


def _draw_boxes(
  axis: Axes,
  scores: Mapping[str, np.ndarray],
  colours: Mapping[str, str],
  methods: tuple[str, ...],
) -> set[str]:
  """Draws boxes; returns the methods that have one."""
  found = {method: box_statistics(table) for method, table in scores.items()}
  found = {method: box for method, box in found.items() if box}
  for method, box in found.items():
    line = {"color": colours[method], "lw": 0.9, "ls": "-"}
    axis.bxp(
      [box],
      positions=[methods.index(method)],
      widths=_HEIGHT,
      orientation="horizontal",
      shownotches=True,
      showfliers=False,
      patch_artist=True,
      manage_ticks=False,
      boxprops=_filled(colours[method]),
      medianprops={"color": "black", "lw": 1.4, "solid_capstyle": "butt"},
      whiskerprops=line,
      capprops=line,
    )
  return set(found)


def box_statistics(scores: np.ndarray) -> dict | None:
  """Returns what `Axes.bxp` draws of `[files, levels]`; None if all are NaN.

  The notch is McGill's: 1.57 interquartile ranges over the root of the count.
  The levels of one excerpt depend on each other, so excerpts are counted, not
  scores. Of few excerpts it ends at the box, which would be turned inside out.
  """
  defined = np.isfinite(scores)
  if not defined.any():
    return None
  (statistics,) = boxplot_stats(scores[defined])
  excerpts = np.count_nonzero(defined.any(axis=1))
  reach = 1.57 * statistics["iqr"] / np.sqrt(excerpts)
  low, high = statistics["med"] - reach, statistics["med"] + reach
  statistics["cilo"] = max(low, statistics["q1"])
  statistics["cihi"] = min(high, statistics["q3"])
  return statistics


def _draw_bars(
  axis: Axes,
  scores: Mapping[str, Mapping[float | None, float]],
  colours: Mapping[str, str],
  methods: tuple[str, ...],
) -> set[str]:
  """Draws a bar of each system's score; returns the methods that have one."""
  found = {m: by_level.get(None, np.nan) for m, by_level in scores.items()}
  found = {m: score for m, score in found.items() if np.isfinite(score)}
  for method, score in found.items():
    row = methods.index(method)
    axis.barh(row, score, height=_HEIGHT, **_filled(colours[method]))
    axis.annotate(
      metrics.get("fad").text(score),
      (score, row),
      xytext=(2, 0),
      textcoords="offset points",
      va="center",
      fontsize=7.0,
    )
  # Room for the number behind the longest bar.
  axis.set_xlim(0.0, 1.35 * max(found.values(), default=1.0) or 1.0)
  return set(found)


def _reason(results: Results, method: str) -> str:
  """Returns why a method has no box."""
  if method in results.left_out:
    return "does not apply"
  return "failed" if method in results.failures else "no score"


def _filled(colour: str) -> dict:
  """Returns a look with 45 % of the colour inside: a black median shows."""
  pale = tuple(0.55 + 0.45 * value for value in to_rgb(colour))
  return {"facecolor": pale, "edgecolor": colour, "lw": 0.9}
