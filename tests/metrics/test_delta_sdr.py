"""SDR gained, and SDR of clipped samples, against closed forms."""

import numpy as np
import pytest

from distortion_removal.metrics import delta_sdr

RATE = 16_000


def _clipped_pair(level=0.3, seed=0):
  """Noise and its clip, and which samples it changed."""
  rng = np.random.default_rng(seed)
  target = 0.3 * rng.standard_normal((1, 4000, 1))
  return np.clip(target, -level, level), target, np.abs(target) >= level


def test_delta_is_the_ratio_of_the_errors():
  degraded, target, _ = _clipped_pair()
  estimate = target + 0.1 * (degraded - target)
  gained = delta_sdr.delta_sdr(
    estimate, target, sample_rate=RATE, degraded=degraded
  )
  np.testing.assert_allclose(gained, 20.0)


def test_only_clipped_samples_count():
  degraded, target, clipped = _clipped_pair()
  # 20 dB where it is clipped; nonsense elsewhere.
  estimate = np.where(clipped, 0.9 * target, 7.0)
  score = delta_sdr.sdr_clipped(
    estimate, target, sample_rate=RATE, degraded=degraded
  )
  np.testing.assert_allclose(score, 20.0)


def test_the_gain_on_clipped_samples_is_that_of_all_if_the_rest_stays():
  degraded, target, clipped = _clipped_pair()
  estimate = np.where(clipped, target + 0.25 * (degraded - target), degraded)
  options = {"sample_rate": RATE, "degraded": degraded}
  everywhere = delta_sdr.delta_sdr(estimate, target, **options)
  there = delta_sdr.delta_sdr_clipped(estimate, target, **options)
  np.testing.assert_allclose(everywhere, 20 * np.log10(4))
  np.testing.assert_allclose(there, everywhere)


def test_rails_are_found_at_any_gain():
  degraded, target, clipped = _clipped_pair()
  estimate = np.where(clipped, 0.5 * target, 0.0)
  for gain in (1.0, 3.0):
    score = delta_sdr.sdr_clipped(
      estimate, target, sample_rate=RATE, degraded=gain * degraded
    )
    np.testing.assert_allclose(score, 20 * np.log10(2))


def test_without_clipped_samples_there_is_no_score():
  _, target, _ = _clipped_pair()
  options = {"sample_rate": RATE, "degraded": target}
  for function in (delta_sdr.sdr_clipped, delta_sdr.delta_sdr_clipped):
    assert np.isnan(function(0.9 * target, target, **options))


def test_a_degraded_signal_that_is_not_finite_has_no_score():
  degraded, target, _ = _clipped_pair()
  broken = np.concatenate([degraded, degraded])
  broken[0, 7] = np.nan
  estimates = np.concatenate([degraded, degraded])
  for function in (delta_sdr.delta_sdr, delta_sdr.sdr_clipped):
    scores = function(estimates, target, sample_rate=RATE, degraded=broken)
    np.testing.assert_array_equal(np.isnan(scores), [True, False])


def test_the_degraded_shape_is_checked():
  degraded, target, _ = _clipped_pair()
  with pytest.raises(ValueError, match=r"\(1, 9, 1\).*\(1, 4000, 1\)"):
    delta_sdr.delta_sdr(
      degraded, target, sample_rate=RATE, degraded=degraded[:, :9]
    )
