"""The report of a reproduction: tables, figures, sounds and what is missing.

runs → results → tables, figures, page → report.md, which shows them all
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.report import document
from distortion_removal.report.results import Results, load, load_timings

_NAME = "report.md"
# All that a report's folder holds.
_PARTS = {_NAME, "tables", "figures", "page"}


def report(
  folders: Sequence[Path],
  output: Path,
  *,
  command: str = "",
  page_options: Mapping[str, Any] | None = None,
) -> Path:
  """Writes the tables, the figures and the listening page of runs.

  A report that is there already is replaced once the new one is complete. A
  page that cannot be made, because it would be too large or a sound is damaged,
  is left out, and the report says why.

  Args:
    folders: of runs that have been evaluated, or of evaluations.
    output: gets report.md, tables/, figures/ and page/.
    command: that made it, for the reader to make it again.
    page_options: of `page.write_page`.

  Returns:
    The file report.md.

  Raises:
    UserError: an option cannot be, a folder has no results, they are damaged,
      or `output` is a file, the current folder, or holds something else.
  """
  from distortion_removal.report.page import check_options

  check_options(**(page_options or {}))
  found = load(folders)
  timings = load_timings(folders, found)
  # Drawing takes a second to import.
  from distortion_removal.report.figures import write_figures
  from distortion_removal.report.page.replacing import replacing
  from distortion_removal.report.tables import write_tables

  with replacing(output, is_ours=_is_ours) as partial:
    texts = write_tables(found, partial / "tables", timings)
    drawn = write_figures(found, partial / "figures")
    silence = _write_page(found, partial / "page", page_options or {})
    text = document.markdown(
      found,
      texts,
      [path.relative_to(partial) for path in drawn],
      timings,
      silence=silence,
      command=command,
    )
    write_whole(partial / _NAME, text)
  path = output / _NAME
  print(f"the report: {path}")
  if not silence:
    print(f"listen to {output / 'page' / 'index.html'}, in a browser")
  return path


def _is_ours(folder: Path) -> bool:
  """Whether a folder has a report and nothing else."""
  file = folder / _NAME
  return (
    {path.name for path in folder.iterdir()} <= _PARTS
    and file.is_file()
    and file.read_text(errors="replace").startswith(document.TITLE)
  )


def _write_page(
  found: Sequence[Results], folder: Path, options: Mapping[str, Any]
) -> str:
  """Writes the listening page; returns why there is none."""
  from distortion_removal.report.page import write_page

  if not any(one.sounds for one in found):
    return (
      "there are no sounds: evaluate with --config.listen_excerpts=8 to have "
      "some"
    )
  try:
    write_page(found, folder, **options)
  except UserError as error:
    logger.warning("no listening page: %s", error)
    return str(error)
  return ""
