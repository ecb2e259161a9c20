"""What an evaluation leaves for people: tables, a plot of each metric."""

import numpy as np
from made_results import make_evaluation
from matplotlib.image import imread

from distortion_removal.report.overview import write_overview


def test_a_table_and_a_plot_of_every_metric(tmp_path):
  distorted, demucs = [[1.0, 4.0], [2.0, np.nan]], [[9.0, 8.0], [7.0, 6.0]]
  scores = {
    "si_sdr": {"distorted": np.array(distorted), "demucs": np.array(demucs)},
    "fad": {"distorted": np.array([[3.0, 9.0], [3.0, 9.0]])},
  }
  folder = make_evaluation(
    tmp_path,
    methods=("distorted", "demucs"),
    metric_names=("si_sdr", "fad"),
    files=2,
    levels=(20.0, 30.0),
    scores=scores,
    left_out={"aspade": "does not undo SoX overdrive"},
    errors=[("test/1.wav", "demucs", 30.0)],
  )
  text = write_overview(folder)
  assert (folder / "table.md").read_text(encoding="utf-8") == text
  lines = text.splitlines()
  gap = "| A-SPADE | \N{EN DASH} | \N{EN DASH} | \N{EN DASH} |"
  for line in (
    "| method | 20 dB | 30 dB | all |",
    "| distorted | 1.50 | 4.00 | 2.00 |",
    "| Demucs | 8.00 | 8.00 | 8.00 |",
    gap,
    "| distorted | 3.00 | 9.00 | 6.00 |",
    "- 1 of 2 excerpts failed for Demucs: see results.jsonl.",
    "- SI-SDR: 1 undefined score left out.",
  ):
    assert line in lines
  assert lines.count(gap) == 2
  assert "does not undo SoX overdrive" in text and "Imort" not in text
  for name in ("si_sdr", "fad"):
    assert imread(folder / f"{name}.png").shape[1] == 7.0 * 300
