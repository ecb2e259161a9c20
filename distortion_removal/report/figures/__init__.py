"""The figures of a report, as a paper has them: PDF and PNG."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from distortion_removal.report.figures import (
  boxes,
  by_level,
  canvas,
  excerpt,
  histograms,
)
from distortion_removal.report.results import Results, file_stems
from distortion_removal.report.styles import styles


def write_figures(results: Sequence[Results], folder: Path) -> list[Path]:
  """Draws everything that there are results for.

  Of each data set and task `boxes_DATASET_TASK`, `levels_DATASET_TASK` (if it
  has several levels) and `excerpt_DATASET_TASK` (if there are sounds), and
  `histograms` of all together. Each is a .pdf for print and a .png; the same
  results give the same bytes.

  Args:
    results: of one task and data set each.
    folder: is made; its figures of the same names are replaced.

  Returns:
    The files, each PDF before its PNG.

  Raises:
    AudioFileError: a sound cannot be read.
    OSError: the folder cannot be written.
  """
  folder.mkdir(parents=True, exist_ok=True)
  paths = []
  for name, figure in _figures(results):
    if figure is not None:
      paths += canvas.save(figure, folder, name)
  return paths


def _figures(
  results: Sequence[Results],
) -> Iterator[tuple[str, Figure | None]]:
  """Each figure by its file's name; one at a time, to spare the memory."""
  looks = styles(dict.fromkeys(m for one in results for m in one.methods))
  for name, one in zip(file_stems(results), results, strict=True):
    yield f"boxes_{name}", boxes.draw(one, looks)
    yield f"levels_{name}", by_level.draw(one, looks)
    yield f"excerpt_{name}", excerpt.draw(one)
  yield "histograms", histograms.draw(results)
