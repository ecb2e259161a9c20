"""The table of times: what is chosen, and what is held against what."""

import pytest

from distortion_removal.report.tables.speed_table import speed_table
from distortion_removal.report.tables.table import markdown

GAP, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def _row(method, batch, seconds, *, best=False, device="cpu", **others):
  row = {
    "method": method,
    "device": device,
    "batch": batch,
    "best": best,
    "seconds_per_second": seconds,
    "peak_memory_bytes": 100 * 2**20 * batch,
    "dataset": "guitar",
    "task": "hard_clip",
    "sample_rate": 16_000,
    "hardware": "Some CPU, 2 cores",
  }
  return row | others


def _lines(rows):
  return markdown(speed_table(rows)).splitlines()


def test_a_row_for_each_method_and_device():
  gpu = {"device": "gpu:Some GPU", "hardware": "Some GPU; Some CPU, 2 cores"}
  rows = [
    _row("aspade", 1, 3.0, best=True),
    _row("demucs", 4, 0.05),
    _row("demucs", 1, 0.1),
    _row("demucs", 2, 0.04, best=True),
    _row("demucs", 1, 0.002, best=True, **gpu),
    _row("umx", 8, 0.5, best=True, peak_memory_bytes=None),
  ]
  assert _lines(rows) == [
    "**Time to restore audio, in seconds per second of audio**",
    "",
    "| method | batch 1 | best batch | its size | peak memory / MiB "
    f"| {TIMES} as fast as A-SPADE |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    "| *CPU: Some CPU, 2 cores; CEG-HC on guitar, 16 kHz* |  |  |  |  |  |",
    "| Demucs | 0.1 | 0.04 | 2 | 200 | 75 |",
    f"| UMX | {GAP} | 0.5 | 8 | {GAP} | 6 |",
    "| A-SPADE | 3 | 3 | 1 | 100 | 1 |",
    "| *GPU: Some GPU; Some CPU, 2 cores; CEG-HC on guitar, 16 kHz* "
    "|  |  |  |  |  |",
    f"| Demucs | 0.002 | 0.002 | 1 | 100 | {GAP} |",
    "",
    f"- {TIMES} as fast as A-SPADE: at the best batches, same device, same "
    "audio.",
  ]


@pytest.mark.parametrize(
  "other",
  [
    {"hardware": "Other CPU"},
    {"dataset": "piano"},
    {"task": "hard_clip_sdr"},
    {"device": "gpu:x"},
    {"sample_rate": 44_100},
  ],
)
def test_unlike_timings_are_not_held_against_each_other(other):
  rows = [_row("demucs", 1, 0.1, best=True)]
  rows.append(_row("aspade", 1, 1.0, best=True, **other))
  assert f"| Demucs | 0.1 | 0.1 | 1 | 100 | {GAP} |" in _lines(rows)
  together = [rows[0], _row("aspade", 1, 1.0, best=True)]
  assert "| Demucs | 0.1 | 0.1 | 1 | 100 | 10 |" in _lines(together)


def test_what_several_runs_timed_is_their_median():
  rows = [
    _row("aspade", 1, seconds, best=True, peak_memory_bytes=2**20 * memory)
    for seconds, memory in ((1.0, 10), (9.0, 30), (2.0, 20))
  ]
  assert "| A-SPADE | 2 | 2 | 1 | 20 | 1 |" in _lines(rows)
