"""The list of metrics, and the rules that all of them keep."""

import math

import numpy as np
import pytest

from distortion_removal import metrics
from distortion_removal.metrics import Metric

RATE = 16_000
OF_ITEMS = [name for name, m in metrics.METRICS.items() if m.embed is None]


def _pair():
  """Decaying harmonics clipped, and as they were."""
  time = np.arange(RATE) / RATE
  tone = sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 9))
  target = np.float32(0.4 * np.exp(-time) * tone)[None, :, None]
  return np.clip(target, -0.2, 0.2), target


def _score(name, estimate, target, degraded=None):
  degraded = estimate if degraded is None else degraded
  metric = metrics.get(name)
  return metric.score(estimate, target, degraded, sample_rate=RATE)


def test_scores_as_text():
  grade = Metric(None, "", "higher", 0.0, 1.0, "Grade")
  ratio = Metric(None, "dB", "higher", -9.0, 9.0, "Ratio")
  error = Metric(None, "", "lower", 0.0, math.inf, "Error")
  headings = [metric.heading for metric in (grade, ratio, error)]
  assert headings == ["Grade ↑", "Ratio / dB ↑", "Error ↓"]
  assert (grade.text(0.98765), ratio.text(8.128)) == ("0.988", "8.13")
  assert (error.text(0.000123), error.text(12.5)) == ("0.000123", "12.50")
  assert grade.text(None) == grade.text(np.nan) == "n/a"
  assert (metrics.number(0.5), metrics.number(np.nan)) == (0.5, None)


@pytest.mark.parametrize("name", OF_ITEMS)
def test_a_perfect_estimate_is_better_than_a_clipped_or_silent_one(name):
  metric = metrics.get(name)
  clipped, target = _pair()
  perfect, worse, silent = (
    _score(name, estimate, target, clipped)
    for estimate in (target, clipped, np.zeros_like(target))
  )
  assert perfect.shape == (1,) and perfect.dtype == np.float64
  sign = {"higher": 1, "lower": -1}[metric.direction]
  assert sign * perfect > sign * worse
  assert sign * perfect > sign * silent + 0.5
  for score in (perfect, worse, silent):
    assert metric.low <= score <= metric.high


@pytest.mark.parametrize("name", OF_ITEMS)
def test_a_target_of_one_serves_a_batch_to_the_bit(name):
  clipped, target = _pair()
  estimates = np.concatenate([clipped, np.clip(target, -0.1, 0.1)])
  shared = _score(name, estimates, target)
  repeated = _score(name, estimates, np.repeat(target, 2, axis=0))
  alone = [_score(name, estimates[k : k + 1], target)[0] for k in range(2)]
  np.testing.assert_array_equal(shared, repeated)
  np.testing.assert_allclose(shared, alone, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", OF_ITEMS)
def test_what_has_no_score_is_nan_and_harms_no_other_item(name):
  clipped, target = _pair()
  silence = np.zeros_like(target)
  nan = np.where(np.arange(target.size)[None, :, None] == 99, np.nan, clipped)
  infinite = np.where(np.isnan(nan), np.inf, nan)
  estimates = np.concatenate([clipped, clipped, nan, infinite, clipped])
  targets = np.concatenate([target, silence, target, target, target])
  degraded = np.concatenate([clipped] * 5)
  with np.errstate(all="raise", under="ignore"):
    scores = _score(name, estimates, targets, degraded)
  expected = _score(name, clipped, target)[0]
  np.testing.assert_array_equal(np.isnan(scores), [0, 1, 1, 1, 0])
  np.testing.assert_allclose(scores[[0, 4]], expected, rtol=1e-6, atol=1e-9)
  assert np.isnan(_score(name, clipped, np.full_like(target, np.nan)))


SIX_DB = 20 * np.log10(2)
PERCEPTUAL = ("peaq", "r_nonlin", "r_nonlin_paper")


@pytest.mark.parametrize("name", OF_ITEMS)
@pytest.mark.parametrize("samples", [0, 1, 2, 300])
def test_what_is_shorter_than_a_frame_of_hearing_has_no_grade(name, samples):
  _, target = _pair()
  target = target[:, 100 : 100 + samples]
  with np.errstate(all="raise", under="ignore"):
    score = _score(name, 0.5 * target, target)
  # No sample is clipped among so few.
  none = not samples or name in PERCEPTUAL or "clipped" in name
  assert np.isnan(score) == none
  expected = {"si_sdr": 100.0, "esr": 0.25, "delta_sdr": 0.0, "sdr": SIX_DB}
  if not none and name in expected:
    np.testing.assert_allclose(score, expected[name], rtol=1e-6)
  elif not none:  # Of the spectra, whose quietest bins are at the floor.
    assert 0.0 < score < SIX_DB + 1e-6


@pytest.mark.parametrize("name", OF_ITEMS)
@pytest.mark.parametrize("size", [1e30, 1e200])
def test_samples_beyond_all_bounds_do_no_harm(name, size):
  clipped, target = _pair()
  huge = np.float64(clipped)
  huge[0, 50] = size
  with np.errstate(all="raise", under="ignore"):
    scores = _score(
      name,
      np.concatenate([huge, clipped]),
      np.float64(target),
      np.float64(np.concatenate([clipped, clipped])),
    )
  assert np.isfinite(scores[1])
  assert np.isnan(scores[0]) or scores[0] <= metrics.get(name).high


@pytest.mark.parametrize("name", OF_ITEMS)
def test_pairs_that_do_not_compare_are_refused(name):
  target = np.ones((1, 1000, 1))
  for estimate in (target[:, 1:], np.ones((1, 1000, 2)), target[0]):
    with pytest.raises(ValueError, match="must have one shape"):
      _score(name, estimate, target)
  with pytest.raises(ValueError, match="int16"):
    _score(name, target.astype(np.int16), target)


@pytest.mark.parametrize(
  ("bounds", "value", "text"),
  [
    ((0.0, 1.0), 0.12345, "0.123"),
    ((0.0, 1.0), 1.0, "1.000"),
    ((-4.0, 0.0), -3.456, "-3.46"),
    ((0.0, np.inf), 5.125, "5.12"),
    ((0.0, np.inf), 0.12345, "0.123"),
  ],
)
def test_digits(bounds, value, text):
  assert metrics.Metric(None, "", "lower", *bounds, "x").text(value) == text
