"""Statistics against SciPy, closed forms and direct computation."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from distortion_removal.report import statistics

NAN = np.nan


def _normal(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def test_quartiles_and_counts_by_hand():
  table = np.array([[1.0, 10.0], [2.0, NAN], [3.0, 30.0], [NAN, NAN], [5, 50]])
  first, second, every = statistics.summaries({"a": table})["a"]
  numbers = dataclasses.astuple(first)[:6]
  assert numbers == (4, 4, 1.75, 2.5, 3.5, 2.75)
  assert (second.count, second.median, second.mean) == (3, 30.0, 30.0)
  # Of 1, 2, 3, 5, 10, 30 and 50 from four excerpts.
  numbers = dataclasses.astuple(every)[:6]
  assert numbers == pytest.approx((7, 4, 2.5, 5.0, 20.0, 101 / 7))
  assert every.low < every.mean < every.high


def test_few_scores_have_no_interval_and_none_have_no_numbers():
  for cell in statistics.summaries({"a": np.full((3, 1), NAN)})["a"]:
    numbers = (0, 0, *[NAN] * 6)
    np.testing.assert_array_equal(dataclasses.astuple(cell), numbers)
  table = np.array([[1.0, 2.0], [NAN, NAN]])
  every = statistics.summaries({"a": table})["a"][-1]
  assert (every.mean, every.excerpts) == (1.5, 1)
  assert np.isnan([every.low, every.high]).all()


def test_interval_is_that_of_scipy():
  values = _normal(60) ** 2
  (found,) = statistics.mean_intervals([values[:, None]], 20_000)
  theirs = stats.bootstrap(
    (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
  ).confidence_interval
  assert found == pytest.approx(theirs, abs=0.03 * (theirs.high - theirs.low))


def test_interval_with_gaps_by_direct_computation():
  table = _normal((9, 3))
  table[table > 0.8] = NAN
  table[4] = NAN
  random = np.random.default_rng(0)
  means = []
  for draw in random.integers(0, 9, (100, 9)):
    values = np.concatenate([table[i] for i in draw])
    means.append(values[~np.isnan(values)].mean())
  (found,) = statistics.mean_intervals([table], 100)
  assert found == pytest.approx(np.quantile(means, (0.025, 0.975)))


def test_comparison_is_scipys_of_the_excerpts_means():
  ours = _normal((30, 4)) + 0.3
  theirs = _normal((30, 4), seed=1)
  ours[:3, 1], theirs[5, 2], ours[7] = NAN, NAN, NAN
  networks = {"demucs": ours, "umx": ours - 0.2, "crafx": ours - 0.9}
  found = statistics.comparisons(
    networks | {"aspade": theirs}, is_higher_better=True
  )
  assert set(found) == set(networks)
  for method, table in networks.items():
    difference = np.nanmean(np.delete(table - theirs, 7, axis=0), axis=1)
    test = found[method]
    assert (test.reference, test.count) == ("aspade", 29)
    assert test.p == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert test.difference == pytest.approx(np.median(difference))
  # Every pair counts once in the correction.
  ps = statistics.holm([test.p for test in found.values()])
  assert [test.p_holm for test in found.values()] == ps


def test_reference_is_the_best_of_the_baselines():
  levels = {"distorted": 0, "demucs": 4, "new": 3, "umx (b)": 2}
  levels |= {"aspade": 1, "sspade": 0.5, "ideal_ratio_mask": 9}
  scores = {name: _normal((9, 1)) / 99 + x for name, x in levels.items()}
  for is_higher_better, best in ((True, "aspade"), (False, "distorted")):
    found = statistics.comparisons(scores, is_higher_better=is_higher_better)
    assert set(found) == set(levels) - {best}
    assert {test.reference for test in found.values()} == {best}


def test_nothing_to_compare_with():
  nothing = np.full((4, 1), NAN)
  alone = {"aspade": _normal((4, 1)), "b": nothing, "ideal_ratio_mask": nothing}
  assert statistics.comparisons(alone, is_higher_better=True) == {}
  # Networks, an oracle and a baseline without scores.
  networks = {name: _normal((4, 1)) for name in ("a", "b", "ideal_ratio_mask")}
  networks["distorted"] = nothing
  assert statistics.comparisons(networks, is_higher_better=True) == {}
  apart = {"a": np.array([[1.0], [NAN]]), "aspade": np.array([[NAN], [1.0]])}
  found = statistics.comparisons(apart, is_higher_better=True)
  numbers = dataclasses.astuple(found["a"])[1:]
  np.testing.assert_array_equal(numbers, [0, NAN, NAN, NAN])


@pytest.mark.parametrize(
  ("difference", "p"),
  [
    # All of one sign: two of the 2^n equally likely signs are so extreme.
    ([1, 2, 3, 4, 5], 2 / 2**5),
    ([-1, -2, -3, -4, -5, -6, -7, -8], 2 / 2**8),
    ([0, 0, 0], 1.0),
    ([5], 1.0),
  ],
)
def test_p_in_closed_form(difference, p):
  assert statistics.wilcoxon(np.array(difference, float)) == pytest.approx(p)


def test_holm_by_hand():
  found = statistics.holm([0.01, 0.04, NAN, 0.03, 0.9])
  # 4 p, then 3, 2 and 1 times, and never less than the one before.
  np.testing.assert_allclose(found, [0.04, 0.09, NAN, 0.09, 0.9])
  assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
