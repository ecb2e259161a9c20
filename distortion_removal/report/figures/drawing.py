"""Sizes, type, labels and files, the same for all figures."""

import contextlib
import textwrap
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.common.files import replacing
from distortion_removal.report.methods import method_label
from distortion_removal.report.results import Results
from distortion_removal.report.tables.notes import counted

TWO_COLUMNS = 7.0  # inches, as journals and ISMIR print them

_LOOK = {
  "axes.axisbelow": True,
  "axes.labelsize": 8.0,
  "axes.linewidth": 0.6,
  "axes.titlesize": 7.5,
  "figure.titlesize": 8.0,
  # Comes with matplotlib: files are the same on every machine.
  "font.family": "DejaVu Sans",
  "font.size": 8.0,
  "grid.color": "#D0D0D0",
  "grid.linewidth": 0.5,
  "legend.fontsize": 7.5,
  "legend.frameon": False,
  "lines.linewidth": 1.2,
  # TrueType: publishers refuse type 3 fonts.
  "pdf.fonttype": 42,
  "savefig.dpi": 300.0,
  # A dollar in a folder's name is no formula.
  "text.parse_math": False,
  "xtick.labelsize": 7.0,
  "xtick.major.width": 0.6,
  "ytick.labelsize": 7.5,
  "ytick.major.width": 0.6,
}
# No date and no version: the same results are the same bytes.
_METADATA = {
  ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
  ".png": {"Software": None},
}


def look() -> contextlib.AbstractContextManager:
  """Draws all figures alike, whatever the user's matplotlibrc says."""
  return matplotlib.style.context(["default", _LOOK])


@look()
def save(figure: Figure, path: Path) -> None:
  """Writes a .pdf or a .png, whole, the same bytes every time."""
  with replacing(path) as partial:
    form, metadata = path.suffix[1:], _METADATA[path.suffix]
    figure.savefig(partial, format=form, metadata=metadata)
  figure.set_layout_engine("none")  # Once is enough, and it is slow.


def score_label(name: str) -> str:
  """Returns a metric's name, unit and better direction; has formulas."""
  text = metrics.get(name).heading
  return text.replace("R_nonlin", r"R$_\mathrm{nonlin}$")


def short_label(method: str, longest: int) -> str:
  """Returns a method's name for people; long ones lose their middle."""
  label = method_label(method)
  head = longest // 2
  if len(label) <= longest:
    return label
  return f"{label[:head]}…{label[head + 1 - longest :]}"


def scope(results: Results) -> str:
  """Returns the task, the data set, and the number of excerpts and levels."""
  size = counted(len(results.files), "excerpt")
  if len(results.levels) > 1:
    size += f" at {len(results.levels)} levels"
  return f"{results.task_label}, {results.dataset} ({size})"


def note_missing(axis: Axes, results: Results, metric: str) -> None:
  """Tells in an empty panel why there is no score of a metric."""
  reason = results.metrics_left_out.get(metric, "not evaluated")
  note(axis, f"no {metrics.get(metric).label}: {reason}")


def note(axis: Axes, text: str, row: int | None = None) -> None:
  """Puts words in place of a drawing: in a row, or in the middle of a panel."""
  # Four lines fit into a panel of three methods.
  lines = textwrap.wrap(text, 22, max_lines=4, placeholder=" …")
  in_panel = row is None
  axis.text(
    0.5,
    0.5 if in_panel else row,
    "\n".join(lines),
    transform=axis.transAxes if in_panel else axis.get_yaxis_transform(),
    ha="center",
    va="center",
    fontsize=7.0,
    color="#404040",
  )
