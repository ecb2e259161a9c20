"""The table of the command `score`, character by character."""

import math

import pytest

from distortion_removal import metrics
from distortion_removal.metrics import Metric
from distortion_removal.report.tables.score_table import table


@pytest.fixture(autouse=True)
def toys(monkeypatch):
  for name, metric in {
    "grade": Metric(None, "", "higher", 0.0, 1.0, "Grade", "of toys"),
    "ratio": Metric(None, "dB", "higher", -9.0, 9.0, "Ratio", "plain"),
    "error": Metric(None, "", "lower", 0.0, math.inf, "Error", "squared"),
  }.items():
    monkeypatch.setitem(metrics.METRICS, name, metric)


def test_columns_are_aligned_and_settings_follow():
  results = [
    {"estimate": "a.wav", "grade": 0.98765, "ratio": -1.0, "error": 0.000123},
    {"estimate": "longer.wav", "grade": None, "ratio": 8.128, "error": 12.5},
  ]
  assert table(results, ["grade", "ratio", "error"]).splitlines() == [
    "estimate    Grade ↑  Ratio / dB ↑   Error ↓",
    "a.wav         0.988         -1.00  0.000123",
    "longer.wav      n/a          8.13     12.50",
    "",
    "Grade: of toys",
    "Ratio: plain",
    "Error: squared",
  ]


def test_peaqs_variables_are_a_table_of_their_own():
  results = [
    {"estimate": "a", "ratio": 1.0, "peaq_movs": {"NMR": -8.25, "EHS": 1.0}},
    {"estimate": "b", "ratio": 2.0, "peaq_movs": {"NMR": None, "EHS": 0.5}},
  ]
  assert table(results, ["ratio"]).splitlines()[-3:] == [
    "PEAQ        a       b",
    "NMR   -8.2500     n/a",
    "EHS    1.0000  0.5000",
  ]
