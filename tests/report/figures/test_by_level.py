"""Scores against the level: means, their intervals, who is who."""

import numpy as np
import pytest
from made_results import METHODS, make_results

from distortion_removal.report.analysis import studies
from distortion_removal.report.figures import by_level
from distortion_removal.report.methods import styles
from distortion_removal.report.statistics import mean_intervals


def _draw(names=("si_sdr", "peaq", "r_nonlin"), **options):
  (study,) = studies([make_results(**options)])
  figure = by_level.draw(study, names, styles(study.results.methods))
  figure.draw_without_rendering()
  return figure


def test_lines_are_means_with_intervals_and_numbers_of_sets():
  scores = np.array([[1.0, 7.0], [2.0, np.nan], [6.0, 8.0]])
  figure = _draw(
    ("si_sdr", "fad"),
    methods=("distorted", "demucs"),
    files=3,
    levels=(20.0, 50.0),
    scores={
      "si_sdr": {"demucs": scores},
      "fad": {"demucs": np.array([[3.0, 9.0]] * 3)},
    },
  )
  axis, sets = figure.axes
  line = axis.get_lines()[1]
  np.testing.assert_array_equal(line.get_xydata(), [[20, 3.0], [50, 7.5]])
  corners = axis.collections[1].get_paths()[0].vertices
  for level, column in zip((20.0, 50.0), scores.T, strict=True):
    heights = corners[corners[:, 0] == level, 1]
    (interval,) = mean_intervals([column[:, None]])
    assert (heights.min(), heights.max()) == pytest.approx(interval)
  line = sets.get_lines()[1]
  np.testing.assert_array_equal(line.get_xydata(), [[20, 3.0], [50, 9.0]])
  assert not sets.collections


def test_methods_have_their_styles_and_axes_say_what_they_show():
  figure = _draw(task="hard_clip_sdr", dataset="signaltrain")
  (legend,) = figure.legends
  labels = [text.get_text() for text in legend.get_texts()]
  assert (labels[0], labels[-1]) == ("distorted", "ideal ratio mask")
  for lines in (figure.axes[1].get_lines(), legend.get_lines()):
    found = [(line.get_color(), line.get_marker()) for line in lines]
    looks = styles(METHODS).values()
    assert found == [(look.colour, look.marker) for look in looks]
  scores = ["SI-SDR / dB ↑", "PEAQ ODG ↑", r"R$_\mathrm{nonlin}$ ↑"]
  assert [axis.get_ylabel() for axis in figure.axes] == scores
  for axis in figure.axes:
    assert axis.get_xlabel() == "input SDR / dB"
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert ticks == ["1", "3", "5", "7", "10", "15", "20"]


def test_a_level_without_scores_is_a_gap_and_one_excerpt_has_no_band():
  scores = np.array([[1.0, np.nan, 3.0]])
  figure = _draw(
    methods=("distorted",),
    files=1,
    levels=(20.0, 30.0, 40.0),
    metric_names=("si_sdr",),
    scores={"si_sdr": {"distorted": scores}},
    metrics_left_out={"peaq": "too short"},
  )
  axis, empty, _ = figure.axes
  np.testing.assert_array_equal(axis.get_lines()[0].get_ydata(), scores[0])
  assert axis.collections[0].get_paths() == []
  # A missing metric leaves a panel that says why.
  assert [x.get_text() for x in empty.texts] == ["no PEAQ ODG: too short"]


def test_many_levels_and_methods_do_not_crowd_the_figure():
  names = [f"demucs (run_with_a_long_name_{i:02d})" for i in range(20)]
  figure = _draw(
    methods=("distorted", *names), levels=np.arange(20.0, 51.0), files=2
  )
  assert 2 <= len(figure.axes[0].get_xticklabels()) <= 9
  box = figure.legends[0].get_window_extent()
  assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
  assert figure.axes[0].get_window_extent().height > 100
