"""The text of a report: one Markdown file, for GitHub and for editors."""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from distortion_removal import __version__, metrics
from distortion_removal.report.methods import DISTORTED, method_label
from distortion_removal.report.result_files import has_failed
from distortion_removal.report.results import Results, file_stems
from distortion_removal.report.tables.notes import counted

TITLE = "# Distortion removal: report"
_PACKAGES = ("jax", "numpy", "scipy")
_CAPTIONS = {
  "boxes": "Scores of each method over all levels",
  "levels": "Mean scores by level, with 95 % confidence intervals",
  "excerpt": "Spectrograms of an excerpt",
  "histograms": "Metrics against each other, of all scores",
}


def markdown(
  found: Sequence[Results],
  texts: Sequence[str],
  pictures: Sequence[Path],
  timings: Sequence[Mapping],
  *,
  silence: str = "",
  command: str = "",
) -> str:
  """The report as text.

  Args:
    found: results of a task on a data set each.
    texts: tables of each, each below a heading of level 2, and others.
    pictures: paths of the figures from the report's folder on.
    timings: rows of timing.jsonl.
    silence: why there is no listening page; "" if there is one.
    command: that made the report.
  """
  parts = [
    TITLE,
    *_sections(found, texts, pictures),
    *(text.strip() for text in texts[len(found) :]),
    *_sounds(silence),
    *_missing(found, timings),
    *_origin(found, timings, command),
  ]
  return "\n\n".join(parts) + "\n"


def _sections(
  found: Sequence[Results], texts: Sequence[str], pictures: Sequence[Path]
) -> Iterator[str]:
  """Of each task its figures and tables, then the figures of all of them."""
  stems = file_stems(found)
  for one, stem, text in zip(found, stems, texts, strict=False):
    heading, _, tables = text.strip().partition("\n\n")
    mine = [path for path in pictures if _subject(path) == stem]
    yield "\n\n".join([heading, _scope(one), *map(_embed, _png(mine)), tables])
  if shared := _png(path for path in pictures if _subject(path) not in stems):
    yield "\n\n".join(["## All tasks", *map(_embed, shared)])


def _subject(picture: Path) -> str:
  """What a picture called KIND_SUBJECT.png is of."""
  return picture.stem.partition("_")[2]


def _png(pictures: Iterable[Path]) -> list[Path]:
  return [path for path in pictures if path.suffix == ".png"]


def _embed(picture: Path) -> str:
  kind = picture.stem.partition("_")[0]
  text = _CAPTIONS.get(kind, kind)
  pdf = picture.with_suffix(".pdf").as_posix()
  return f"![{text}]({picture.as_posix()})\n\n{text} ([PDF]({pdf}))."


def _scope(one: Results) -> str:
  """How many excerpts, and at which levels."""
  levels = ", ".join(f"{level:g}" for level in one.levels)
  unit = f" {one.level_unit}" if one.level_unit else ""
  rate = f" at {one.sample_rate / 1000:g} kHz" if one.sample_rate else ""
  count = counted(len(one.files), "excerpt")
  return f"{count}{rate}; {one.level_label}: {levels}{unit}."


def _sounds(silence: str) -> Iterator[str]:
  yield "## Sounds"
  if silence:
    yield f"No listening page: {silence}."
  else:
    yield (
      "The listening page is [page/index.html](page/index.html): open it in a "
      "browser, from disk or from a web server."
    )


def _missing(
  found: Sequence[Results], timings: Sequence[Mapping]
) -> Iterator[str]:
  """What a reader may look for in vain, and why."""
  lines = []
  for one in found:
    where = f"{one.task_label} on {one.dataset}"
    lines += [f"{where}: {text}" for text in _gaps(one)]
    timed = {row["method"] for row in timings if _is_about(row, one)}
    untimed = [m for m in one.methods if m not in timed and m != DISTORTED]
    if untimed:
      names = ", ".join(map(method_label, untimed))
      lines.append(f"{where}: not timed (--mode=time): {names}.")
  if lines:
    yield "## What is missing"
    yield "\n".join(f"- {line}" for line in lines)


def _gaps(one: Results) -> Iterator[str]:
  for method, why in one.left_out.items():
    yield f"{method_label(method)} is left out: {why}."
  for name, why in one.metrics_left_out.items():
    label = metrics.METRICS[name].label if name in metrics.METRICS else name
    yield f"{label} is left out: {why}."
  for method, count in one.failures.items():
    what = counted(count, "degraded excerpt")
    yield f"{method_label(method)} failed on {what}."
  scored = one.where(lambda row: not has_failed(row))
  for method, where in scored.items():
    absent = where.size - int(where.sum()) - one.failures.get(method, 0)
    if absent:
      what = counted(absent, "degraded excerpt")
      yield f"{method_label(method)} lacks {what} that others have."
  if not one.sounds:
    yield "no sounds were kept (--config.listen_excerpts=8)."


def _is_about(row: Mapping, one: Results) -> bool:
  return (row.get("task"), row.get("dataset")) == (one.task, one.dataset)


def _origin(
  found: Sequence[Results], timings: Sequence[Mapping], command: str
) -> Iterator[str]:
  """How it was made, and on what it was timed."""
  yield "## How this was made"
  if command:
    yield f"```bash\n{command}\n```"
  versions = ["distortion_removal " + __version__]
  versions += [f"{name} {metadata.version(name)}" for name in _PACKAGES]
  lines = [f"Python {platform.python_version()}, {', '.join(versions)}"]
  loads: dict[str, float] = {}
  for row in timings:
    name, load = row.get("hardware", row["device"]), row.get("load_average", 0)
    loads[name] = max(load, loads.get(name, 0))
  lines += [
    f"timed on {name}; load average up to {load:.1f}"
    for name, load in loads.items()
  ]
  lines += [
    f"{method_label(method)} for {one.task_label} on {one.dataset}: {run.name}"
    for one in found
    for method, run in one.runs.items()
  ]
  yield "\n".join(f"- {line}" for line in lines)
