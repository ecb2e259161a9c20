"""Tables that users write beside their recordings: CSV, with a first line."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from distortion_removal.common.errors import UserError


class Table(NamedTuple):
  """A table that has been read.

  Attributes:
    columns: as the first line names them.
    rows: where each stands (`FILE: line N`), and its cells by column, without
      blanks around them.
  """

  columns: Collection[str]
  rows: Iterator[tuple[str, dict[str, str]]]


def read(path: Path) -> Table:
  """Reads a table; a byte order mark does not matter.

  Raises:
    UserError: it is not in UTF-8, or, as the rows are read, no CSV.
  """
  try:
    text = path.read_text(encoding="utf-8-sig")
  except UnicodeDecodeError:
    raise UserError(f"{path}: not in UTF-8; save it as UTF-8") from None
  reader = csv.DictReader(io.StringIO(text, newline=""))
  columns = {(column or "").strip() for column in reader.fieldnames or ()}
  return Table(columns, _rows(path, reader))


def _rows(
  path: Path, reader: csv.DictReader
) -> Iterator[tuple[str, dict[str, str]]]:
  try:
    for row in reader:
      cells = {k.strip(): (v or "").strip() for k, v in row.items() if k}
      yield f"{path}: line {reader.line_num}", cells
  except csv.Error as error:
    raise UserError(
      f"{path}: line {reader.line_num} cannot be read ({error}); look for a "
      "quotation mark that is not closed"
    ) from None
