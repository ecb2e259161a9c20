"""The table of methods' speed, a row per method and device."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from distortion_removal.effects import tasks
from distortion_removal.report.methods import in_order, method_label
from distortion_removal.report.tables.cells import GAP
from distortion_removal.report.tables.table import RowGroup, Table
from distortion_removal.report.tables.task_tables import TIMES

_REFERENCE = "aspade"
# What two timings must share to be compared.
_SAME = ("task", "dataset", "device", "hardware", "sample_rate")
_COLUMNS = ("method", "batch 1", "best batch", "its size", "peak memory / MiB")
# Timings of one method on one device.
_Rows = Sequence[Mapping]


def speed_table(timings: Sequence[Mapping]) -> Table:
  """Makes a table of seconds per second of audio: batch 1 and the best batch.

  Where several runs timed a method (a baseline), their median is shown. The
  last column compares with A-SPADE where that was timed in the same setting.
  """
  sections = []
  for group in _grouped(timings, _SAME):
    by_method = {x[0]["method"]: x for x in _grouped(group, ("method",))}
    reference = by_method.get(_REFERENCE)
    rows = [_row(m, by_method[m], reference) for m in in_order(by_method)]
    sections.append(RowGroup(_title(group[0]), rows))
  against = f"{TIMES} as fast as {method_label(_REFERENCE)}"
  return Table(
    name="timing",
    caption="Time to restore audio, in seconds per second of audio",
    header=[*_COLUMNS, against],
    sections=sections,
    notes=[f"{against}: at the best batches, same device, same audio."],
  )


def _grouped(rows: Iterable[Mapping], columns: Sequence[str]) -> list[_Rows]:
  """Groups rows that have the same values in these columns."""
  groups: dict[tuple, list[Mapping]] = {}
  for row in rows:
    groups.setdefault(tuple(row[column] for column in columns), []).append(row)
  return list(groups.values())


def _title(row: Mapping) -> str:
  """Names the device and the audio that was restored."""
  kind = row["device"].partition(":")[0].upper()
  task = tasks.TASKS.get(row["task"])
  label = task.label if task else row["task"]
  return (
    f"{kind}: {row['hardware']}; {label} on {row['dataset']}, "
    f"{row['sample_rate'] / 1000:g} kHz"
  )


def _row(method: str, rows: _Rows, reference: _Rows | None) -> list[str]:
  single = [row for row in rows if row["batch"] == 1]
  best = _best(rows)
  memory = [x for row in best if (x := row.get("peak_memory_bytes"))]
  ratio = _seconds(_best(reference)) / _seconds(best) if reference else None
  return [
    method_label(method),
    f"{_seconds(single):.3g}" if single else GAP,
    f"{_seconds(best):.3g}",
    str(best[0]["batch"]),
    f"{np.median(memory) / 2**20:.0f}" if memory else GAP,
    GAP if ratio is None else f"{ratio:.3g}",
  ]


def _best(rows: _Rows) -> _Rows:
  """Returns the timings of the best batch; runs may differ in which it is."""
  marked = [row for row in rows if row["best"]]
  return min(_grouped(marked, ("batch",)), key=_seconds)


def _seconds(rows: _Rows) -> float:
  return float(np.median([row["seconds_per_second"] for row in rows]))
