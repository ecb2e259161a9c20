"""The table of times: what is chosen, and what is held against what."""

import pytest
from made_results import make_timing

from distortion_removal.report.tables.speed_table import speed_table
from distortion_removal.report.tables.table import markdown

GAP, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def _lines(rows):
  return markdown(speed_table(rows)).splitlines()


def test_a_row_for_each_method_and_device():
  gpu = {"device": "gpu:Some GPU", "hardware": "Some GPU; Some CPU, 2 cores"}
  two = {"batch": 2, "peak_memory_bytes": 200 * 2**20}
  rows = [
    make_timing("aspade", 3.0),
    make_timing("demucs", 0.05, batch=4, best=False),
    make_timing("demucs", 0.1, best=False),
    make_timing("demucs", 0.04, **two),
    make_timing("demucs", 0.002, **gpu),
    make_timing("umx", 0.5, batch=8, peak_memory_bytes=None),
  ]
  assert _lines(rows)[2:-2] == [
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
  ]


@pytest.mark.parametrize(
  ("other", "ratio"),
  [
    ({}, "10"),
    ({"hardware": "Other CPU"}, GAP),
    ({"dataset": "piano"}, GAP),
    ({"sample_rate": 44_100}, GAP),
  ],
)
def test_only_like_timings_are_held_against_each_other(other, ratio):
  rows = [make_timing("demucs", 0.1), make_timing("aspade", 1.0, **other)]
  assert f"| Demucs | 0.1 | 0.1 | 1 | 100 | {ratio} |" in _lines(rows)


def test_timings_of_several_runs_are_their_median():
  rows = [
    make_timing("aspade", seconds, peak_memory_bytes=2**20 * memory)
    for seconds, memory in ((1.0, 10), (9.0, 30), (2.0, 20))
  ]
  assert "| A-SPADE | 2 | 2 | 1 | 20 | 1 |" in _lines(rows)
