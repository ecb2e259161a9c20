"""The tables of a report: Markdown to read, LaTeX to print, CSV to go on with.

study → tables of text (`task_tables`, with `cells` and `notes`) → Markdown,
LaTeX and CSV (`table`)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from distortion_removal.common.files import write_whole
from distortion_removal.report.analysis import Study
from distortion_removal.report.tables import task_tables
from distortion_removal.report.tables.speed_table import speed_table
from distortion_removal.report.tables.table import (
  Table,
  csv_text,
  latex,
  markdown,
  markdown_page,
)


def write_tables(
  studies: Sequence[Study], folder: Path, timings: Sequence[Mapping] = ()
) -> list[str]:
  """Writes every table as Markdown, LaTeX and CSV; returns the Markdown.

  For each task and data set the folder gets DATASET_TASK.md with all tables,
  DATASET_TASK.csv with all numbers in full, DATASET_TASK_rows.csv with the
  scored rows and a .tex file per table; likewise timing.*.
  """
  folder.mkdir(parents=True, exist_ok=True)
  texts = []
  for study in studies:
    results, stem = study.results, study.stem
    tables = task_tables.all_tables(study)
    texts.append(_write(folder, stem, results.title, tables))
    numbers = csv_text(task_tables.numbers(study))
    write_whole(folder / f"{stem}.csv", numbers)
    first = ("dataset", "task", "file", "method", results.level_name)
    rows = csv_text(results.rows, first)
    write_whole(folder / f"{stem}_rows.csv", rows)
  if timings:
    table = speed_table(timings)
    texts.append(_write(folder, table.name, "Timing", [table]))
    write_whole(folder / "timing.csv", csv_text(timings, ("method", "device")))
  return texts


def timing_table(timings: Sequence[Mapping]) -> str:
  """Returns the table of methods' speed in Markdown."""
  return markdown(speed_table(timings))


def _write(folder: Path, stem: str, title: str, tables: Sequence[Table]) -> str:
  for table in tables:
    write_whole(folder / f"{table.name}.tex", latex(table) + "\n")
  text = markdown_page(title, tables)
  write_whole(folder / f"{stem}.md", text)
  return text
