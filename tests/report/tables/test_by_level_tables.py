"""Tables: the very text, from rows as evaluation writes them."""

import math

from distortion_removal import effects, metrics
from distortion_removal.report.tables import by_level


def _row(method, level, score):
  return {"method": method, "gain_db": level, "si_sdr": score, "other": 1.0}


ROWS = [
  _row("distorted", 50.0, 1.0),
  _row("distorted", 20.0, 7.0),
  _row("distorted", 20.0, 8.0),
  _row("distorted", 20.0, 100.0),
  _row("demucs", 20.0, 9.5),
  _row("demucs", 20.0, 10.005),
  _row("demucs", 50.0, None),
]


def test_rows_are_gathered_by_method_and_level():
  scores = by_level.collect(ROWS, "gain_db", "si_sdr")
  assert scores["distorted"] == {50.0: [1.0], 20.0: [7.0, 8.0, 100.0]}
  assert scores["demucs"][20.0] == [9.5, 10.005]
  assert math.isnan(scores["demucs"][50.0][0])
  assert list(scores) == ["distorted", "demucs"]


def test_table_text():
  scores = by_level.collect(ROWS, "gain_db", "si_sdr")
  text = by_level.median_table(
    scores, metrics.get("si_sdr"), effects.get("overdrive")
  )
  assert text == "\n".join(
    [
      "Median SI-SDR / dB ↑ by gain (SoX overdrive)",
      "",
      "| method | 20 dB | 50 dB | all |",
      "| --- | ---: | ---: | ---: |",
      "| distorted | 8.00 | 1.00 | 7.50 |",
      "| demucs | 9.75 | n/a | 9.75 |",
      "",
      "1 undefined scores are left out.",
    ]
  )


def test_a_method_without_a_level_leaves_its_cell_open():
  scores = {"a": {1.0: [2.0], 2.5: [4.0]}, "b": {1.0: [3.0]}}
  text = by_level.median_table(
    scores, metrics.get("sdr"), effects.get("hard_clip_sdr")
  )
  assert text.splitlines()[2:] == [
    "| method | 1 dB | 2.5 dB | all |",
    "| --- | ---: | ---: | ---: |",
    "| a | 2.00 | 4.00 | 3.00 |",
    "| b | 3.00 | n/a | 3.00 |",
  ]


def test_a_system_has_a_number_of_its_own_for_all_levels():
  metric = metrics.Metric(None, "", "lower", 0.0, math.inf, "FAD", "x")
  rows = [
    {"method": "distorted", "gain_db": 20.0, "fad": 3.0},
    {"method": "distorted", "gain_db": 50.0, "fad": 9.0},
    {"method": "distorted", "gain_db": None, "fad": 5.125},
    {"method": "demucs", "gain_db": 20.0, "fad": None},
  ]
  scores = by_level.collect(rows, "gain_db", "fad")
  text = by_level.system_table(scores, metric, effects.get("overdrive"))
  assert text == "\n".join(
    [
      "FAD ↓ by gain (SoX overdrive)",
      "",
      "| method | 20 dB | 50 dB | all |",
      "| --- | ---: | ---: | ---: |",
      "| distorted | 3.00 | 9.00 | 5.12 |",
      "| demucs | n/a | n/a | n/a |",
    ]
  )


def test_what_lies_between_zero_and_one_has_three_digits():
  metric = metrics.Metric(None, "", "higher", 0.0, 1.0, "R", "x")
  scores = {"a": {1.0: [0.12345], 3.0: [1.0]}}
  text = by_level.median_table(scores, metric, effects.get("hard_clip_sdr"))
  assert text.splitlines()[-1] == "| a | 0.123 | 1.000 | 0.562 |"


def test_heading_without_a_unit():
  metric = metrics.Metric(None, "", "lower", 0.0, 1.0, "Odd")
  assert by_level.heading(metric) == "Odd ↓"
