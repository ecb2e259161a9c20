"""The figures of a report, as a paper has them: PDF and PNG."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from distortion_removal.report.analysis import Study
from distortion_removal.report.figures import (
  boxes,
  by_level,
  drawing,
  excerpt,
  histograms,
)
from distortion_removal.report.methods import styles
from distortion_removal.report.results import PAPER_METRICS


def write_figures(studies: Sequence[Study], folder: Path) -> list[Path]:
  """Draws everything that there are results for.

  For each task on a data set `boxes_DATASET_TASK`, `levels_DATASET_TASK` (if it
  has several levels) and `excerpt_DATASET_TASK` (if there are sounds), and
  `histograms` of all together. Each is a .pdf for print and a .png; the same
  results give the same bytes. Returns the PNGs.
  """
  folder.mkdir(parents=True, exist_ok=True)
  paths = []
  for name, figure in _figures(studies):
    for suffix in (".pdf", ".png"):
      drawing.save(figure, folder / f"{name}{suffix}")
    paths.append(folder / f"{name}.png")
  return paths


def _figures(studies: Sequence[Study]) -> Iterator[tuple[str, Figure]]:
  """Yields each figure with its file's name; one at a time, to spare memory."""
  looks = styles(m for study in studies for m in study.results.methods)
  for study in studies:
    results, stem = study.results, study.stem
    known = set(PAPER_METRICS) & set(results.metrics)
    if known:
      yield f"boxes_{stem}", boxes.draw(results, looks)
    if known & set(study.analyses) and len(results.levels) > 1:
      names = [name for name in PAPER_METRICS if name != "fad"]
      yield f"levels_{stem}", by_level.draw(study, names, looks)
    if figure := excerpt.draw(results):
      yield f"excerpt_{stem}", figure
  if figure := histograms.draw([study.results for study in studies]):
    yield "histograms", figure
