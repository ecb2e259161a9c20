"""The tables of a report: Markdown to read, LaTeX to print, CSV to go on with.

results → study (`analysis`) → tables of text (`task_tables`, with `cells` and
`notes`) → Markdown and LaTeX (`formats`); all numbers as CSV (`score_csv`), and
the rows that they are of (`rows_csv`)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from distortion_removal.common.files import write_whole
from distortion_removal.report.results import Results, file_stems
from distortion_removal.report.tables import (
  analysis,
  formats,
  rows_csv,
  score_csv,
  speed_table,
  task_tables,
)
from distortion_removal.report.tables.formats import Table


def write_tables(
  results: Sequence[Results],
  folder: Path,
  timings: Sequence[Mapping] = (),
) -> list[str]:
  """Writes every table as Markdown, LaTeX and CSV.

  Args:
    results: of a task on a data set each.
    folder: gets, for each of these, DATASET_TASK.md with all tables,
      DATASET_TASK.csv with all numbers in full, DATASET_TASK_rows.csv with the
      rows that they are of and a .tex file per table; likewise timing.md,
      timing.csv and timing.tex.
    timings: as of `results.load_timings`.

  Returns:
    The texts of the Markdown files, in this order.
  """
  folder.mkdir(parents=True, exist_ok=True)
  texts = []
  for stem, found in zip(file_stems(results), results, strict=True):
    study = analysis.study(found, stem)
    title = f"{found.task_label} on {found.dataset}"
    tables = task_tables.all_tables(study)
    texts.append(_write(folder, stem, title, tables, score_csv.text(study)))
    write_whole(folder / f"{stem}_rows.csv", rows_csv.text(found))
  if timings:
    table = speed_table.speed_table(timings)
    numbers = speed_table.csv_text(timings)
    texts.append(_write(folder, table.name, "Timing", [table], numbers))
  return texts


def timing_table(timings: Sequence[Mapping]) -> str:
  """How fast the methods are, in Markdown.

  Args:
    timings: as of `results.load_timings`, at least one.
  """
  return formats.markdown(speed_table.speed_table(timings))


def _write(
  folder: Path, stem: str, title: str, tables: Sequence[Table], numbers: str
) -> str:
  for table in tables:
    write_whole(folder / f"{table.name}.tex", formats.latex(table) + "\n")
  write_whole(folder / f"{stem}.csv", numbers)
  text = formats.markdown_page(title, tables)
  write_whole(folder / f"{stem}.md", text)
  return text
