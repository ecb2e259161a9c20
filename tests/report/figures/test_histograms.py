"""2-D histograms: every pair of scores is counted once, where it belongs."""

import numpy as np
import pytest
from made_results import make_results

from distortion_removal.report.figures import histograms


def _results(si_sdr, peaq):
  """One method, a file for each pair of scores, one level."""
  columns = {"si_sdr": si_sdr, "peaq": peaq}
  return make_results(
    methods=("demucs",),
    files=len(si_sdr),
    levels=(20.0,),
    metric_names=tuple(columns),
    scores={k: {"demucs": np.transpose([x])} for k, x in columns.items()},
  )


def _counts(axis):
  (image,) = axis.get_images()
  return image.get_array(), image.get_extent(), axis.get_title(loc="left")


def test_scores_of_all_tasks_and_methods_are_counted():
  results = [make_results(files=4), make_results(task="tanh", files=5)]
  figure = histograms.draw(results)
  for axis in figure.axes[:2]:
    counts, _, title = _counts(axis)
    # Nothing of the made-up scores lies far out.
    assert (counts.sum(), title) == ((4 + 5) * 7 * 5, "315 scores")
  labels = ["PEAQ ODG ↑", r"R$_\mathrm{nonlin}$ ↑", "scores in a bin"]
  assert [axis.get_ylabel() for axis in figure.axes] == labels
  assert figure.get_suptitle().endswith("of CEG-OD, tanh soft clip")


def test_a_bin_lies_where_its_scores_are_and_one_score_is_not_white():
  # Three at (0, -4), one at (30, 0), and undefined ones.
  nan = np.nan
  found = _results([0.0, 0.0, 0.0, 30.0, nan, 7.0], [-4, -4, -4, 0, -1, nan])
  figure = histograms.draw([found])
  counts, (left, right, bottom, top), title = _counts(figure.axes[0])
  assert title == "4 scores"
  assert np.ma.count(counts) == 2  # all others are empty, and white
  for x, y, count in ((0.0, -4.0, 3), (30.0, 0.0, 1)):
    column = int((x - left) / (right - left) * counts.shape[1])
    row = int((y - bottom) / (top - bottom) * counts.shape[0])
    assert counts[row, column] == count
  (image,) = figure.axes[0].get_images()
  assert (image.norm(1.0), image.norm(image.norm.vmax)) == (0.0, 1.0)
  assert image.norm(3.0) == pytest.approx(np.log(3) / np.log(image.norm.vmax))
  grey = np.array([0.2126, 0.7152, 0.0722])
  lightness = image.cmap(np.linspace(0, 1, 20))[:, :3] @ grey
  assert (np.diff(lightness) < 0).all() and lightness[0] < 0.85


@pytest.mark.parametrize(
  ("outliers", "shown"), [([100.0, -90.0], 500), ([-60.0] * 50, 550)]
)
def test_few_scores_far_out_do_not_take_the_room(outliers, shown):
  random = np.random.default_rng(0)
  si_sdr = np.append(random.uniform(0, 20, 500), outliers)
  figure = histograms.draw([_results(si_sdr, np.full(len(si_sdr), -1.0))])
  counts, (left, *_), title = _counts(figure.axes[0])
  assert counts.sum() == shown
  assert (left > -50) == ("2 beyond the axes" in title) == (shown == 500)


def test_without_pairs_there_is_no_figure():
  assert histograms.draw([]) is None
  assert histograms.draw([make_results(metric_names=("si_sdr",))]) is None
  assert histograms.draw([_results([np.nan], [1.0])]) is None
