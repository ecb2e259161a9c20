"""Tables that users write beside their recordings: CSV, with a first line."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from distortion_removal.errors import UserError


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
    UserError: it is not in UTF-8.
  """
  try:
    text = path.read_text(encoding="utf-8-sig")
  except UnicodeDecodeError:
    raise UserError(f"{path}: not in UTF-8; save it as UTF-8") from None
  reader = csv.DictReader(io.StringIO(text, newline=""))
  columns = {(column or "").strip() for column in reader.fieldnames or ()}
  rows = (
    (
      f"{path}: line {reader.line_num}",
      {k.strip(): (v or "").strip() for k, v in row.items() if k},
    )
    for row in reader
  )
  return Table(columns, rows)
