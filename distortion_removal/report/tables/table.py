"""Tables of text as Markdown and LaTeX, rows of values as CSV."""

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class RowGroup:
  """Rows that belong together."""

  title: str  # above the rows; "" for none
  rows: Sequence[Sequence[str]]  # cells, as many as the table's header has


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of text; characters need no escaping."""

  name: str  # of its files, and its LaTeX label
  caption: str
  header: Sequence[str]  # a column of names, then columns of numbers
  sections: Sequence[RowGroup]
  notes: Sequence[str] = ()  # below it, a sentence each


def markdown(table: Table) -> str:
  """Returns the table in GitHub's Markdown."""
  width = len(table.header)
  lines = [
    f"**{_markdown_escape(table.caption)}**",
    "",
    _markdown_line(table.header),
    f"| {' | '.join(['---', *['---:'] * (width - 1)])} |",
  ]
  for section in table.sections:
    if section.title:
      title = f"*{_markdown_escape(section.title)}*"
      lines.append(f"| {' | '.join([title, *[''] * (width - 1)])} |")
    lines += map(_markdown_line, section.rows)
  if table.notes:
    lines += ["", *(f"- {_markdown_escape(note)}" for note in table.notes)]
  return "\n".join(lines)


def markdown_page(title: str, tables: Sequence[Table]) -> str:
  """Returns tables below a heading; a note that several share comes once."""
  seen: set[str] = set()
  parts = [f"## {_markdown_escape(title)}"]
  for table in tables:
    notes = [note for note in table.notes if note not in seen]
    seen.update(notes)
    parts.append(markdown(dataclasses.replace(table, notes=notes)))
  return "\n\n".join(parts) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(map(_markdown_escape, cells))} |"


def _markdown_escape(text: str) -> str:
  text = re.sub(r"([\\`*|]|<(?=[A-Za-z/!?]))", r"\\\1", text)
  # An underscore within a word means nothing in Markdown.
  text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
  return " ".join(text.split())


_LATEX = {
  "\\": r"\textbackslash{}",
  **{character: f"\\{character}" for character in "{}$&#%_"},
  "^": r"\textasciicircum{}",
  "~": r"\textasciitilde{}",
  **{character: f"${character}$" for character in "<>|"},
  '"': "''",
  "↑": r"$\uparrow$",
  "↓": r"$\downarrow$",
  "→": r"$\rightarrow$",
  "\N{EN DASH}": "--",
  "\N{MINUS SIGN}": "$-$",
  "±": r"$\pm$",
  "\N{MULTIPLICATION SIGN}": r"$\times$",
  "\N{ASTERISK OPERATOR}": "$^{*}$",
  "≥": r"$\ge$",
  "Δ": r"$\Delta$",
  "µ": r"$\mu$",
  "²": "$^{2}$",
  "…": r"\dots{}",
  "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}


def latex_escape(text: str) -> str:
  """Returns text for LaTeX; letters that pdfLaTeX does not have become ?."""
  escaped = "".join(map(_latex_character, " ".join(text.split())))
  escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
  return re.sub(r"(^|[\s(])''", r"\1``", escaped)


def _latex_character(character: str) -> str:
  if character in _LATEX:
    return _LATEX[character]
  # The letters of Latin-1, but for those that LaTeX's first fonts lack.
  is_latin = (
    "À" <= character <= "ÿ" and character not in "\N{MULTIPLICATION SIGN}÷ÐðÞþ"
  )
  is_known = character.isascii() and character.isprintable()
  return character if is_known or is_latin else "?"


def latex(table: Table) -> str:
  """Returns the table in LaTeX, for documents with booktabs and graphicx."""
  width = len(table.header)
  lines = [
    r"% Needs \usepackage{booktabs,graphicx}.",
    r"\begin{table}[tb]",
    r"\centering",
    rf"\caption{{{latex_escape(table.caption)}}}",
    rf"\label{{tab:{table.name}}}",
    r"\footnotesize",
    # Only as wide as the page.
    r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
    rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
    r"\toprule",
    _latex_line(table.header),
  ]
  for section in table.sections:
    lines.append(r"\midrule")
    if section.title:
      title = rf"\emph{{{latex_escape(section.title)}}}"
      lines.append(rf"\multicolumn{{{width}}}{{l}}{{{title}}} \\")
    lines += map(_latex_line, section.rows)
  lines += [r"\bottomrule", r"\end{tabular}}"]
  for note in table.notes:
    lines.append(rf"\par\smallskip\raggedright {latex_escape(note)}")
  return "\n".join([*lines, r"\end{table}"])


def _latex_line(cells: Sequence[str]) -> str:
  line = " & ".join(map(latex_escape, cells))
  # After \\ a bracket would be an option of it, and a star a part.
  guard = "{}" if line.startswith(("[", "*")) else ""
  return rf"{guard}{line} \\"


def csv_text(
  rows: Iterable[Mapping[str, object]], first: Sequence[str] = ()
) -> str:
  """Returns rows as CSV: numbers in full, nested values as JSON.

  The columns of `first` come first if any row has them.
  """
  rows = list(rows)
  found = dict.fromkeys(column for row in rows for column in row)
  columns = dict.fromkeys(column for column in first if column in found) | found
  file = io.StringIO()
  writer = csv.writer(file, lineterminator="\n")
  writer.writerow(columns)
  for row in rows:
    writer.writerow([_csv_cell(row.get(column)) for column in columns])
  return file.getvalue()


def _csv_cell(value: object) -> object:
  if isinstance(value, (dict, list)):
    return json.dumps(value, ensure_ascii=False)
  is_nan = isinstance(value, float) and math.isnan(value)
  return "" if value is None or is_nan else value
