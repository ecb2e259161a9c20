"""How long methods take, a row per method and device."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from distortion_removal.effects import tasks
from distortion_removal.report import methods
from distortion_removal.report.methods import method_label
from distortion_removal.report.tables import formats, notes
from distortion_removal.report.tables.by_level import GAP
from distortion_removal.report.tables.formats import Section, Table

_REFERENCE = "aspade"
# What two timings must share to be held against each other.
_SAME = ("task", "dataset", "device", "hardware", "sample_rate")

_COLUMNS = ("method", "batch 1", "best batch", "its size", "peak memory / MiB")

# Of one method on one device.
Rows = Sequence[Mapping]


def speed_table(timings: Sequence[Mapping]) -> Table:
  """Seconds per second of audio: one excerpt at a time, and the best batch.

  What several runs timed (baselines) is the median of them. How many times as
  fast as A-SPADE the methods are is told where that has been timed, too.

  Args:
    timings: as of `results.load_timings`, at least one.
  """
  sections = []
  for group in _grouped(timings, _SAME):
    by_method = {
      rows[0]["method"]: rows for rows in _grouped(group, ("method",))
    }
    reference = by_method.get(_REFERENCE)
    rows = [
      _row(method, by_method[method], reference)
      for method in methods.in_order(by_method)
    ]
    sections.append(Section(_title(group[0]), rows))
  header = [*_COLUMNS, f"{notes.TIMES} as fast as {method_label(_REFERENCE)}"]
  told = [f"{header[-1]}: at the best batches, same device, same audio."]
  if all(row["method"] != _REFERENCE for row in timings):
    header, told = header[:-1], []
    sections = [
      Section(section.title, [row[:-1] for row in section.rows])
      for section in sections
    ]
  return Table(
    name="timing",
    caption="Time to restore audio, in seconds per second of audio",
    header=header,
    sections=sections,
    notes=told,
  )


def csv_text(timings: Sequence[Mapping]) -> str:
  """The rows as they were measured, in CSV; unknown columns come last."""
  first = ("method", "device", "batch", "best", "seconds_per_second")
  columns = dict.fromkeys(first) | dict.fromkeys(
    column for row in timings for column in row
  )
  return formats.csv_text(tuple(columns), timings)


def _grouped(rows: Iterable[Mapping], columns: Sequence[str]) -> list[Rows]:
  """The rows that have the same in these columns, together."""
  groups: dict[tuple, list[Mapping]] = {}
  for row in rows:
    key = tuple(str(row.get(column)) for column in columns)
    groups.setdefault(key, []).append(row)
  return list(groups.values())


def _title(row: Mapping) -> str:
  """The device, what it is, and what audio was restored."""
  kind, _, device = str(row["device"]).partition(":")
  hardware = row.get("hardware") or device
  task, rate = row.get("task"), row.get("sample_rate")
  label = tasks.TASKS[task].label if task in tasks.TASKS else task
  audio = [
    " on ".join(filter(None, (label, row.get("dataset")))),
    f"{rate / 1000:g} kHz" if rate else "",
  ]
  title = ": ".join(filter(None, (kind.upper(), hardware)))
  return "; ".join(filter(None, (title, ", ".join(filter(None, audio)))))


def _row(method: str, rows: Rows, reference: Rows | None) -> list[str]:
  best = _best(rows)
  memory = [
    row["peak_memory_bytes"] for row in best if row.get("peak_memory_bytes")
  ]
  ratio = _seconds(_best(reference)) / _seconds(best) if reference else None
  return [
    method_label(method),
    _text([row for row in rows if row.get("batch") == 1]),
    _text(best),
    str(best[0].get("batch", GAP)),
    f"{np.median(memory) / 2**20:.0f}" if memory else GAP,
    GAP if ratio is None else f"{ratio:.3g}",
  ]


def _best(rows: Rows) -> Rows:
  """Those of the batch that is marked as the best, or is the fastest."""
  marked = [row for row in rows if row.get("best")]
  batches = _grouped(marked or rows, ("batch",))
  return min(batches, key=_seconds)


def _seconds(rows: Rows) -> float:
  return float(np.median([row["seconds_per_second"] for row in rows]))


def _text(rows: Rows) -> str:
  return f"{_seconds(rows):.3g}" if rows else GAP
