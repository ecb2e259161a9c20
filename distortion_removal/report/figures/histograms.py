"""2-D histograms of metrics against each other, over all tasks and methods."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from distortion_removal import metrics
from distortion_removal.report.figures import drawing
from distortion_removal.report.results import Results
from distortion_removal.report.tables.notes import counted

# Dark is much, in grey print too; a single score still is not white.
_COLOURS = ListedColormap(matplotlib.colormaps["Blues"](np.linspace(0.3, 1.0)))
_AGAINST = "si_sdr"


@drawing.look()
def draw(results: Sequence[Results]) -> Figure | None:
  """Draws PEAQ and R_nonlin against SI-SDR, over all data sets and methods.

  Counts are logarithmic; empty bins are white. Axes leave out scores farther
  than 3 interquartile ranges from the quartiles if these are at most 1 %, or a
  few silent estimates would take all the room; the panel's title counts them.
  None where no result has such a pair of scores.
  """
  pairs = {name: _pairs(results, name) for name in ("peaq", "r_nonlin")}
  if not any(len(points) for points in pairs.values()):
    return None
  found = {k: _count(points) for k, points in pairs.items() if len(points)}
  most = max(counts.max() for counts, _, _ in found.values())
  norm = LogNorm(1.0, max(10.0, most))
  figure = Figure(figsize=(drawing.TWO_COLUMNS, 2.9), layout="constrained")
  axes = figure.subplots(1, 2)
  image = None
  for axis, (name, points) in zip(axes, pairs.items(), strict=True):
    axis.set_xlabel(drawing.score_label(_AGAINST))
    axis.set_ylabel(drawing.score_label(name), parse_math=True, labelpad=2)
    if name not in found:
      label = metrics.get(name).label
      axis.set(xticks=[], yticks=[])
      drawing.note(axis, f"no excerpt has both SI-SDR and {label}")
      continue
    counts, x_edges, y_edges = found[name]
    image = axis.imshow(
      np.ma.masked_equal(counts.T, 0),
      origin="lower",
      aspect="auto",
      extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
      norm=norm,
      cmap=_COLOURS,
      zorder=1,  # above the grid
      interpolation="nearest",
    )
    axis.grid()
    beyond = len(points) - int(counts.sum())
    title = counted(len(points), "score")
    axis.set_title(
      f"{title}, {beyond} beyond the axes" if beyond else title, loc="left"
    )
  bar = figure.colorbar(image, ax=axes, label="scores in a bin", pad=0.01)
  bar.ax.yaxis.set_major_locator(LogLocator())
  bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
  bar.ax.yaxis.set_minor_locator(NullLocator())
  tasks = ", ".join(dict.fromkeys(found.task_label for found in results))
  figure.suptitle(f"All methods and levels of {tasks}", wrap=True)
  return figure


def _pairs(results: Sequence[Results], name: str) -> np.ndarray:
  """Returns SI-SDR and another metric, `[scores, 2]`, where both exist."""
  found = [np.zeros((0, 2))]
  for one in results:
    if {_AGAINST, name} <= set(one.metrics):
      first, second = one.scores(_AGAINST), one.scores(name)
      for method in first:
        both = np.stack([first[method], second[method]], axis=-1)
        found.append(both[np.isfinite(both).all(axis=-1)])
  return np.concatenate(found)


def _count(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns what `np.histogram2d` does, within the limits of the axes."""
  limits = [_limits(column) for column in points.T]
  return np.histogram2d(*points.T, bins=60, range=limits)


def _limits(values: np.ndarray) -> tuple[float, float]:
  """Returns an axis's limits, without outliers if these are at most 1 %."""
  low, q1, q3, high = np.percentile(values, (0, 25, 75, 100))
  reach = 3.0 * (q3 - q1) or np.inf
  is_far = np.abs(values - np.clip(values, q1, q3)) > reach
  if np.mean(is_far) <= 0.01:
    low, high = values[~is_far].min(), values[~is_far].max()
  room = 0.03 * (high - low) or 0.5
  return low - room, high + room
