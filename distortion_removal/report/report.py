"""The report of a reproduction: tables, figures, sounds and what is missing.

runs → results → studies → tables, figures, page → report.md, which shows them
"""

import contextlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from distortion_removal import __version__
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import one_line, replacing, write_whole
from distortion_removal.common.log import logger, say
from distortion_removal.report.analysis import Study, studies
from distortion_removal.report.figures import write_figures
from distortion_removal.report.methods import DISTORTED, method_label
from distortion_removal.report.page import check_options, write_page
from distortion_removal.report.results import Results, load, load_timings
from distortion_removal.report.tables import write_tables
from distortion_removal.report.tables.notes import counted, gaps, losses

_NAME = "report.md"
_TITLE = "# Distortion removal: report"
_LISTEN = (
  "The listening page is [page/index.html](page/index.html): open it in a "
  "browser, from disk or from a web server."
)
_CAPTIONS = {
  "boxes": "Scores of each method over all levels",
  "levels": "Mean scores by level, with 95 % confidence intervals",
  "excerpt": "Spectrograms of an excerpt",
  "histograms": "Metrics against each other, of all scores",
}


def report(
  folders: Sequence[Path],
  output: Path,
  *,
  command: str = "",
  page_options: Mapping[str, Any] | None = None,
) -> Path:
  """Writes the tables, the figures and the listening page of runs.

  An older report is replaced once the new one is complete. A page that would be
  too large, or with a damaged sound, is left out, and the report says why.

  Args:
    folders: runs that have been evaluated, or evaluations.
    output: gets report.md, tables/, figures/ and page/.
    command: the command that makes this report again.
    page_options: keyword arguments of `page.write_page`.

  Returns:
    The file report.md.

  Raises:
    UserError: an option is out of range, a folder has no results, they are
      damaged, or `output` is a file, the current folder, or holds other files.
  """
  options = page_options or {}
  check_options(options)
  results = load(folders)
  timings = load_timings(folders, results)
  with _replacing_report(output) as partial:
    analysed = studies(results)
    texts = write_tables(analysed, partial / "tables", timings)
    pictures = write_figures(analysed, partial / "figures")
    silence = _write_page(results, partial / "page", options)
    parts = [
      _TITLE,
      *_sections(analysed, texts, pictures),
      *(text.strip() for text in texts[len(analysed) :]),
      "## Sounds",
      f"No listening page: {silence}." if silence else _LISTEN,
      *_missing(analysed, timings),
      *_origin(results, timings, command),
    ]
    write_whole(partial / _NAME, "\n\n".join(parts) + "\n")
  path = output / _NAME
  say(f"the report: {one_line(path)}")
  if not silence:
    page = one_line(output / "page" / "index.html")
    say(f"listen to {page}, in a browser")
  return path


@contextlib.contextmanager
def _replacing_report(output: Path) -> Iterator[Path]:
  """Yields a new folder that takes the place of an older report at the end."""
  place = output.resolve()  # "." has no name.
  # The current folder would be renamed away from under the caller.
  if Path.cwd().is_relative_to(place):
    raise UserError(
      f"{output} is the current folder or above it, and cannot be replaced; "
      f"give another one, such as {output / 'report'}"
    )
  if output.exists() and not output.is_dir():
    raise UserError(f"{output} is a file; give a folder")
  if output.is_dir() and any(output.iterdir()) and not _is_report(output):
    raise UserError(
      f"{output} holds other files, which would be lost; give an empty folder "
      "or a new one"
    )
  place.parent.mkdir(parents=True, exist_ok=True)
  with replacing(place) as partial:
    partial.mkdir()
    yield partial


def _is_report(folder: Path) -> bool:
  """Tells whether a folder has a report and nothing else."""
  file = folder / _NAME
  return (
    {path.name for path in folder.iterdir()}
    <= {_NAME, "tables", "figures", "page"}
    and file.is_file()
    and file.read_text(errors="replace").startswith(_TITLE)
  )


def _write_page(
  results: Sequence[Results], folder: Path, options: Mapping[str, Any]
) -> str:
  """Writes the listening page; returns why there is none."""
  if not any(one.sounds for one in results):
    return "there are no sounds; evaluate with --config.listen_excerpts=8"
  try:
    write_page(results, folder, **options)
  except UserError as error:
    logger.warning("no listening page: %s", error)
    return str(error)
  return ""


def _sections(
  analysed: Sequence[Study], texts: Sequence[str], pictures: Sequence[Path]
) -> Iterator[str]:
  """Yields each task's figures and tables, then the figures of all tasks."""
  own = {study.stem: [] for study in analysed}
  shared = []
  for picture in pictures:  # They are called KIND_DATASET_TASK.png.
    own.get(picture.stem.partition("_")[2], shared).append(_embed(picture))
  for study, text in zip(analysed, texts, strict=False):
    heading, _, tables = text.strip().partition("\n\n")
    parts = [heading, _scope(study.results), *own[study.stem], tables]
    yield "\n\n".join(parts)
  if shared:
    yield "\n\n".join(["## All tasks", *shared])


def _embed(picture: Path) -> str:
  text = _CAPTIONS[picture.stem.partition("_")[0]]
  path = f"figures/{picture.stem}"
  return f"![{text}]({path}.png)\n\n{text} ([PDF]({path}.pdf))."


def _scope(results: Results) -> str:
  """Tells how many excerpts there are, and at which levels."""
  levels = ", ".join(f"{level:g}" for level in results.levels)
  unit = f" {results.level_unit}" if results.level_unit else ""
  count = counted(len(results.files), "excerpt")
  rate = f"{results.sample_rate / 1000:g} kHz"
  return f"{count} at {rate}; {results.level_label}: {levels}{unit}."


def _missing(
  analysed: Sequence[Study], timings: Sequence[Mapping]
) -> Iterator[str]:
  """Yields what a reader may miss, and why it is not there."""
  lines = []
  for study in analysed:
    results = study.results
    found = gaps(results) + losses(study, results.metrics)
    if not results.sounds:
      found.append("no sounds were kept (--config.listen_excerpts=8).")
    place = {"task": results.task, "dataset": results.dataset}
    timed = {x["method"] for x in timings if place.items() <= x.items()}
    untimed = [m for m in results.methods if m not in (DISTORTED, *timed)]
    if untimed:
      names = ", ".join(map(method_label, untimed))
      found.append(f"not timed (--mode=time): {names}.")
    lines += [f"- {results.title}: {text}" for text in found]
  if lines:
    yield "## What is missing"
    yield "\n".join(lines)


def _origin(
  results: Sequence[Results], timings: Sequence[Mapping], command: str
) -> Iterator[str]:
  """Yields how the report was made, and on what methods were timed."""
  yield "## How this was made"
  if command:
    yield f"```bash\n{command}\n```"
  names = ("jax", "numpy", "scipy")
  packages = ", ".join(f"{name} {metadata.version(name)}" for name in names)
  python = f"Python {platform.python_version()}"
  lines = [f"{python}, distortion_removal {__version__}, {packages}"]
  for name in dict.fromkeys(row["hardware"] for row in timings):
    loads = [x["load_average"] for x in timings if x["hardware"] == name]
    lines.append(f"timed on {name}; load average up to {max(loads):.1f}")
  for one in results:
    for method, run in one.runs.items():
      lines.append(f"{method_label(method)} for {one.title}: {run.name}")
  yield "\n".join(f"- {line}" for line in lines)
