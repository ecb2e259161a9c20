"""Box plots: what is drawn are the numbers, and what is missing says so."""

import numpy as np
import pytest
from made_results import METHODS, make_results
from matplotlib.patches import PathPatch, Rectangle

from distortion_removal.report.figures import boxes
from distortion_removal.report.methods import method_label, styles

# A tall column of numbers with known quartiles: 0, 1, ... 100, and 300.
LADDER = np.append(np.arange(101.0), 300.0)[:, None]


def _draw(**options):
  results = make_results(**options)
  figure = boxes.draw(results, styles(results.methods))
  figure.draw_without_rendering()
  labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
  return figure.axes, labels


def _words(axis):
  return [text.get_text() for text in axis.texts]


def _boxes(axis, row):
  """The vertices of the boxes in that row."""
  patches = [patch for patch in axis.patches if isinstance(patch, PathPatch)]
  found = [patch.get_path().vertices for patch in patches]
  return [x for x in found if abs(x[:, 1].mean() - row) < 0.3]


def test_rows_and_panels_are_in_order_and_labelled():
  methods = (*METHODS, r"my_$\net$")
  axes, labels = _draw(methods=methods)
  # After the paper's networks the others; dollars are no formula.
  expected = [*METHODS[:3], methods[-1], *METHODS[3:]]
  assert labels == list(map(method_label, expected))
  assert np.subtract(*axes[0].get_ylim()) > 0  # the first on top
  assert axes[3].get_xlabel() == "FAD ↓"


def test_a_box_has_the_quartiles_and_whiskers_of_the_defined_scores():
  scores = np.concatenate([LADDER, [[np.nan]]])
  (axis, *_), _ = _draw(
    methods=("distorted", "demucs"),
    files=len(scores),
    levels=(20.0,),
    scores={"si_sdr": {"demucs": scores}},
  )
  (vertices,) = _boxes(axis, row=1)
  q1, median, q3 = np.percentile(LADDER, (25, 50, 75))
  assert (vertices[:, 0].min(), vertices[:, 0].max()) == (q1, q3)
  # The ends of whiskers, caps and the median.
  lines = [line.get_xydata() for line in axis.get_lines()]
  lines = [line for line in lines if abs(line[:, 1].mean() - 1) < 0.3]
  horizontal = [line for line in lines if line[0, 1] == line[1, 1]]
  ends = np.sort(np.concatenate(horizontal)[:, 0])
  # 300 lies beyond q3 + 1.5 (q3 - q1): it is neither reached nor drawn.
  np.testing.assert_array_equal(ends, [0.0, q1, q3, 100.0])
  assert [median, median] in [line[:, 0].tolist() for line in lines]
  # The notch is McGill's, of 102 excerpts.
  notch = 1.57 * (q3 - q1) / np.sqrt(102)
  for end in (median - notch, median + notch):
    assert np.isclose(vertices[:, 0], end).any()


def test_notches():
  once = boxes.box_statistics(LADDER)
  often = boxes.box_statistics(np.repeat(LADDER, 7, axis=1))
  # Levels of one excerpt do not make it narrower.
  assert often["cilo"] == pytest.approx(once["cilo"], abs=0.3)
  assert often["cihi"] == pytest.approx(once["cihi"], abs=0.3)
  for values in ([1.0], [1.0, 2.0], [1.0, 5.0, 6.0]):  # Few stay in the box.
    found = boxes.box_statistics(np.array(values)[:, None])
    assert found["q1"] <= found["cilo"] <= found["med"]
    assert found["med"] <= found["cihi"] <= found["q3"]


def test_bars_are_the_systems_scores_with_numbers():
  fad = {"distorted": 22.456, "demucs": 0.5894, "umx": 11.2}
  scores = {"fad": {m: np.full((12, 7), x) for m, x in fad.items()}}
  axes, _ = _draw(methods=tuple(fad), scores=scores)
  bars = [patch for patch in axes[3].patches if isinstance(patch, Rectangle)]
  places = [bar.get_y() + bar.get_height() / 2 for bar in bars]
  np.testing.assert_allclose(places, range(3))
  ends = [(bar.get_x(), bar.get_width()) for bar in bars]
  np.testing.assert_allclose(ends, [(0.0, score) for score in fad.values()])
  assert _words(axes[3]) == ["22.46", "0.589", "11.20"]


def test_rows_and_panels_without_scores_say_why():
  axes, labels = _draw(
    files=2,
    levels=(35.0,),
    methods=("distorted", "demucs", "umx"),
    metric_names=("si_sdr", "peaq"),
    left_out={"aspade": "does not undo SoX overdrive"},
    metrics_left_out={"fad": "VGGish's weights are not at /home/me; " * 5},
    scores={"si_sdr": {"demucs": np.full((2, 1), np.nan)}},
    errors=[(f"test/{i}.wav", "umx", 35.0) for i in range(2)],
  )
  assert labels[-1] == "A-SPADE"
  rows = {t.get_text(): t.get_position()[1] for t in axes[0].texts}
  assert rows == {"no score": 1, "failed": 2, "does not apply": 3}
  assert not any(_boxes(axes[0], row) for row in rows.values())
  assert set(_words(axes[1])) == {"failed", "does not apply"}
  assert _words(axes[2]) == ["no R_nonlin: not\nevaluated"]
  (text,) = axes[3].texts  # The tables have a long reason in full.
  assert text.get_text().startswith("no FAD: VGGish's")
  assert text.get_text().endswith("…")
  inner, outer = text.get_window_extent(), axes[3].get_window_extent()
  assert outer.x0 < inner.x0 and inner.x1 < outer.x1
  assert outer.y0 < inner.y0 and inner.y1 < outer.y1
