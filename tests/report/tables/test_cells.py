"""The text of cells: digits, marks, missing scores."""

import math

from distortion_removal import metrics
from distortion_removal.report.statistics import Summary
from distortion_removal.report.tables import cells


def test_cells():
  si_sdr, nan = metrics.get("si_sdr"), math.nan
  summary = Summary(1, 1, 2.0, 2.0, 2.0, 2.0, nan, nan)
  assert cells.interval(summary, si_sdr) == "2.00"
  assert cells.quartiles((nan, nan, nan), si_sdr) == "n/a"
  ps = {0.0004: "<0.001", 0.0461: "0.046", nan: "n/a"}
  assert [cells.p_value(p) for p in ps] == list(ps.values())
  ps = (0.0009, 0.001, 0.0101, 0.05, 1.0, nan)
  assert [len(cells.stars(p)) for p in ps] == [3, 2, 1, 0, 0, 0]
