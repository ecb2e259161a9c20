"""Box plots of a task: how a method's scores are spread over all levels."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.report import methods as names
from distortion_removal.report.figures import canvas
from distortion_removal.report.results import Results
from distortion_removal.report.styles import Style
from distortion_removal.report.tables.by_level import text

_HEIGHT = 0.62  # of a box, in rows


@canvas.look()
def draw(results: Results, looks: Mapping[str, Style]) -> Figure | None:
  """A panel for each of the paper's metrics, a row for each method.

  Boxes hold the quartiles of all excerpts at all levels, whiskers reach to the
  farthest score within 1.5 interquartile ranges; what lies beyond is not drawn.
  Notches are 95 % confidence intervals of the median. What there is no score
  of says so. None without any of the paper's metrics.

  Args:
    results: of one task.
    looks: at least of the methods that have results.
  """
  if not {*canvas.PAPER_METRICS} & {*results.metrics}:
    return None
  methods = names.in_order([*results.methods, *results.left_out])
  labels = [canvas.two_line_label(method) for method in methods]
  row = 0.30 if any("\n" in label for label in labels) else 0.23
  height = 0.85 + row * len(methods)
  figure = Figure(figsize=(canvas.TWO_COLUMNS, height), layout="constrained")
  axes = figure.subplots(1, len(canvas.PAPER_METRICS), sharey=True)
  for axis, metric in zip(axes, canvas.PAPER_METRICS, strict=True):
    axis.set_xlabel(canvas.score_label(metric), parse_math=True)
    if metric not in results.metrics:
      axis.set_xticks([])
      canvas.note(axis, canvas.why_missing(results, metric))
      continue
    axis.grid(axis="x")
    if metrics.get(metric).embed is None:
      drawn = _boxes(axis, results, metric, methods, looks)
    else:
      drawn = _bars(axis, results, metric, methods, looks)
    _label_gaps(axis, results, methods, drawn)
  axes[0].set_yticks(range(len(methods)), labels)
  axes[0].set_ylim(len(methods) - 0.4, -0.6)
  for axis in axes:
    axis.tick_params(axis="y", length=0)
  figure.align_xlabels()
  figure.suptitle(canvas.scope(results))
  return figure


def _boxes(
  axis: Axes,
  results: Results,
  metric: str,
  methods: tuple[str, ...],
  looks: Mapping[str, Style],
) -> set[str]:
  """Draws boxes; returns the methods that have one."""
  drawn = set()
  for method, scores in results.scores(metric).items():
    statistics = box_statistics(scores)
    if statistics is None:
      continue
    colour = looks[method].colour
    line = {"color": colour, "lw": 0.9, "ls": "-"}
    axis.bxp(
      [statistics],
      positions=[methods.index(method)],
      widths=_HEIGHT,
      orientation="horizontal",
      shownotches=True,
      showfliers=False,
      patch_artist=True,
      manage_ticks=False,
      boxprops={"facecolor": _pale(colour), "edgecolor": colour, "lw": 0.9},
      medianprops={"color": "black", "lw": 1.4, "solid_capstyle": "butt"},
      whiskerprops=line,
      capprops=line,
    )
    drawn.add(method)
  if drawn and metric == "peaq":
    axis.set_xlim(-4.1, 0.3)  # the grade's own range, so that tasks compare
  return drawn


def box_statistics(scores: np.ndarray) -> dict | None:
  """What `Axes.bxp` draws of `[files, levels]`; None where all are NaN.

  The notch is McGill's 1.57 interquartile ranges by the root of the count. The
  levels of one excerpt depend on each other, so excerpts are counted, not
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


def _bars(
  axis: Axes,
  results: Results,
  metric: str,
  methods: tuple[str, ...],
  looks: Mapping[str, Style],
) -> set[str]:
  """Draws a bar for each system; returns the methods that have one."""
  scores = {
    method: by_level.get(None, np.nan)
    for method, by_level in results.system_scores(metric).items()
  }
  scores = {m: score for m, score in scores.items() if np.isfinite(score)}
  for method, score in scores.items():
    row, colour = methods.index(method), looks[method].colour
    axis.barh(
      row,
      score,
      height=_HEIGHT,
      facecolor=_pale(colour),
      edgecolor=colour,
      lw=0.9,
    )
    axis.annotate(
      text(score, metrics.get(metric)),
      (score, row),
      xytext=(2, 0),
      textcoords="offset points",
      va="center",
      fontsize=7.0,
    )
  if scores:
    # Room for the number behind the longest bar.
    axis.set_xlim(0.0, 1.35 * max(*scores.values(), 1e-9))
  return set(scores)


def _label_gaps(
  axis: Axes, results: Results, methods: tuple[str, ...], drawn: set[str]
) -> None:
  for row, method in enumerate(methods):
    if method in drawn:
      continue
    if method in results.left_out:
      reason = "does not apply"
    else:
      reason = "failed" if method in results.failures else "no score"
    axis.text(
      0.5,
      row,
      reason,
      transform=axis.get_yaxis_transform(),
      ha="center",
      va="center",
      fontsize=7.0,
      fontstyle="italic",
      color="#404040",
    )


def _pale(colour: str) -> tuple[float, float, float]:
  """The colour on paper at 45 %: a black median shows on it."""
  return tuple(0.55 + 0.45 * value for value in to_rgb(colour))
