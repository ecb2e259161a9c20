"""How metrics go together: 2-D histograms over all tasks and methods."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from distortion_removal import metrics
from distortion_removal.report.figures import canvas
from distortion_removal.report.results import Results

_BINS = 60
_AGAINST = "si_sdr"
_MOST_LEFT_OUT = 0.01


@canvas.look()
def draw(results: Sequence[Results]) -> Figure | None:
  """PEAQ and R_nonlin against SI-SDR, over all data sets and methods.

  Counts are logarithmic; empty bins are white. Axes leave out what
  lies farther than 3 interquartile ranges from the quartiles if that is at most
  1 %, or a few silent estimates would take all the room; how much it is stands
  above. None where no result has such a pair of scores.
  """
  pairs = {name: paired(results, name) for name in ("peaq", "r_nonlin")}
  if not any(len(points) for points in pairs.values()):
    return None
  counted = {k: _count(points) for k, points in pairs.items() if len(points)}
  most = max(counts.max() for counts, _, _ in counted.values())
  norm = LogNorm(1.0, max(10.0, most))
  figure = Figure(figsize=(canvas.TWO_COLUMNS, 2.9), layout="constrained")
  axes = figure.subplots(1, 2)
  image = None
  for axis, (name, points) in zip(axes, pairs.items(), strict=True):
    axis.set_xlabel(canvas.score_label(_AGAINST))
    axis.set_ylabel(canvas.score_label(name), parse_math=True, labelpad=2)
    if name not in counted:
      label = metrics.get(name).label
      axis.set(xticks=[], yticks=[])
      canvas.note(axis, f"no excerpt has both SI-SDR and {label}")
      continue
    counts, x_edges, y_edges = counted[name]
    image = axis.imshow(
      np.ma.masked_equal(counts.T, 0),
      origin="lower",
      aspect="auto",
      extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
      norm=norm,
      cmap=_colours(),
      zorder=1,  # above the grid
      interpolation="nearest",
    )
    axis.grid()
    axis.set_title(_counts_text(len(points), int(counts.sum())), loc="left")
  bar = figure.colorbar(image, ax=axes, label="scores in a bin", pad=0.01)
  bar.ax.yaxis.set_major_locator(LogLocator())
  bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
  bar.ax.yaxis.set_minor_locator(NullLocator())
  tasks = ", ".join(dict.fromkeys(found.task_label for found in results))
  figure.suptitle(f"All methods and levels of {tasks}", wrap=True)
  return figure


def paired(results: Sequence[Results], name: str) -> np.ndarray:
  """Scores by SI-SDR and by another metric, `[scores, 2]`, where both exist."""
  found = [np.zeros((0, 2))]
  for one in results:
    if {_AGAINST, name} <= set(one.metrics):
      first, second = one.scores(_AGAINST), one.scores(name)
      for method in first:
        both = np.stack([first[method], second[method]], axis=-1)
        found.append(both[np.isfinite(both).all(axis=-1)])
  return np.concatenate(found)


def _count(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """As `np.histogram2d`, within what is shown."""
  limits = [_limits(column) for column in points.T]
  return np.histogram2d(*points.T, bins=_BINS, range=limits)


def _colours() -> ListedColormap:
  """Dark is much, in grey print too; a single score still is not white."""
  return ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.3, 1.0)))


def _limits(values: np.ndarray) -> tuple[float, float]:
  """Of the axis: what is far out does not count, if it is at most 1 %."""
  low, q1, q3, high = np.percentile(values, (0, 25, 75, 100))
  reach = 3.0 * (q3 - q1) or np.inf
  is_far = np.abs(values - np.clip(values, q1, q3)) > reach
  if np.mean(is_far) <= _MOST_LEFT_OUT:
    low, high = values[~is_far].min(), values[~is_far].max()
  room = 0.03 * (high - low) or 0.5
  return low - room, high + room


def _counts_text(total: int, shown: int) -> str:
  text = f"{total:,} score{'s' * (total != 1)}"
  beyond = f", {total - shown:,} beyond the axes" if shown < total else ""
  return text + beyond
