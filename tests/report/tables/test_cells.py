"""The text of cells: digits, marks, what there is not."""

import math

import pytest

from distortion_removal import metrics
from distortion_removal.report.statistics import Summary
from distortion_removal.report.tables import cells


def test_heading_has_the_unit_and_the_direction():
  assert cells.heading(metrics.get("si_sdr")) == "SI-SDR / dB ↑"
  odd = metrics.Metric(None, "", "lower", 0.0, 1.0, "Odd")
  assert cells.heading(odd) == "Odd ↓"


@pytest.mark.parametrize(
  ("bounds", "value", "text"),
  [
    ((0.0, 1.0), 0.12345, "0.123"),  # between 0 and 1
    ((0.0, 1.0), 1.0, "1.000"),
    ((-4.0, 0.0), -3.456, "-3.46"),
    ((0.0, math.inf), 5.125, "5.12"),
    ((0.0, math.inf), 0.12345, "0.123"),
    ((0.0, 1.0), None, "n/a"),
    ((0.0, 1.0), math.nan, "n/a"),
  ],
)
def test_digits(bounds, value, text):
  metric = metrics.Metric(None, "", "lower", *bounds, "x")
  assert cells.score_text(value, metric) == text


def test_a_mean_without_an_interval_stands_alone():
  si_sdr, nan = metrics.get("si_sdr"), math.nan
  summary = Summary(1, 1, 2.0, 2.0, 2.0, 2.0, nan, nan)
  assert cells.interval(summary, si_sdr) == "2.00"
  assert cells.quartiles((nan, nan, nan), si_sdr) == "n/a"


def test_p_and_its_marks():
  assert cells.p_value(0.0004) == "<0.001"
  assert cells.p_value(0.0461) == "0.046"
  assert cells.p_value(math.nan) == "n/a"
  ps = (0.0009, 0.001, 0.0101, 0.05, 1.0, math.nan)
  assert [len(cells.stars(p)) for p in ps] == [3, 2, 1, 0, 0, 0]
