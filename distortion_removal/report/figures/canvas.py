"""What all figures share: sizes, type, names on axes, files."""

import contextlib
import io
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distortion_removal import metrics
from distortion_removal.common.files import write_whole
from distortion_removal.report.methods import method_label
from distortion_removal.report.results import Results
from distortion_removal.report.tables.by_level import heading

# Inches, as journals and ISMIR print them.
TWO_COLUMNS = 7.0
PAPER_METRICS = ("si_sdr", "peaq", "r_nonlin", "fad")
_NOTE_LINES = 4  # that fit into a panel of three methods

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
  # TrueType: type 3 fonts are refused by publishers.
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
  "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
  "png": {"Software": None},
}


@contextlib.contextmanager
def look() -> Iterator[None]:
  """Draws as all figures are drawn, whatever the user's matplotlibrc says."""
  with matplotlib.style.context(["default", _LOOK]):
    yield


@look()
def save(figure: Figure, folder: Path, name: str) -> list[Path]:
  """Writes NAME.pdf and NAME.png, each whole, the same bytes every time."""
  paths = []
  for suffix, metadata in _METADATA.items():
    content = io.BytesIO()
    figure.savefig(content, format=suffix, metadata=metadata)
    figure.set_layout_engine("none")  # once is enough, and it is slow
    path = folder / f"{name}.{suffix}"
    write_whole(path, content.getvalue())
    paths.append(path)
  return paths


def score_label(name: str) -> str:
  """A metric's name, unit and better direction; has formulas."""
  text = heading(metrics.get(name))
  return text.replace("R_nonlin", r"R$_\mathrm{nonlin}$")


def short_label(method: str, longest: int = 40) -> str:
  """A method's name for people; long ones lose their middle."""
  label = method_label(method)
  if len(label) <= longest:
    return label
  head = longest // 2
  return f"{label[:head]}…{label[head + 1 - longest :]}"


def two_line_label(method: str, width: int = 18) -> str:
  """As `short_label`, as long as two lines of `width` characters allow."""
  for longest in range(2 * width, 0, -1):
    lines = _wrap(short_label(method, longest), width)
    if len(lines) <= 2:
      break
  return "\n".join(lines)


def _wrap(text: str, width: int) -> list[str]:
  """Breaks where names of folders have joints."""
  pieces = re.findall(rf"[^\s_/-]{{1,{width - 1}}}[\s_/-]?|[\s_/-]", text)
  lines = [""]
  for piece in pieces:
    if len(lines[-1]) + len(piece.rstrip()) > width:
      lines.append("")
    lines[-1] += piece
  return [line.rstrip() for line in lines]


def scope(results: Results) -> str:
  """Which task on which data, and how much of it."""
  excerpts, levels = len(results.files), len(results.levels)
  counts = f"{excerpts:,} excerpt{'s' * (excerpts != 1)}"
  if levels > 1:
    counts += f" at {levels} levels"
  return f"{results.task_label}, {results.dataset} ({counts})"


def why_missing(results: Results, metric: str) -> str:
  """Why there is no score of a metric."""
  reason = results.metrics_left_out.get(metric, "not evaluated")
  return f"no {metrics.get(metric).label}: {reason}"


def note(axis: Axes, text: str, *, width: int = 22) -> None:
  """Puts words in place of what cannot be drawn, as many as there is room."""
  lines = textwrap.wrap(text, width, max_lines=_NOTE_LINES, placeholder=" …")
  axis.text(
    0.5,
    0.5,
    "\n".join(lines),
    transform=axis.transAxes,
    ha="center",
    va="center",
    fontsize=7.0,
    color="#404040",
  )
