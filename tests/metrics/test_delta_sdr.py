"""SDR gained, and SDR of clipped samples, against closed forms."""

import numpy as np
import pytest

from distortion_removal.metrics.delta_sdr import (
  delta_sdr,
  delta_sdr_clipped,
  sdr_clipped,
)

NOISE = 0.3 * np.random.default_rng(0).standard_normal((1, 4000, 1))
CLIP = np.clip(NOISE, -0.3, 0.3)
IS_CLIPPED = np.abs(NOISE) >= 0.3


def score(metric, estimate, target=NOISE, degraded=CLIP):
  return metric(estimate, target, sample_rate=16_000, degraded=degraded)


def test_delta_is_the_ratio_of_the_errors():
  gained = score(delta_sdr, NOISE + 0.1 * (CLIP - NOISE))
  np.testing.assert_allclose(gained, 20.0)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_only_samples_at_the_rails_of_the_input_count(gain):
  # 20 dB where it is clipped; nonsense elsewhere.
  estimate = np.where(IS_CLIPPED, 0.9 * NOISE, 7.0)
  actual = score(sdr_clipped, estimate, degraded=gain * CLIP)
  np.testing.assert_allclose(actual, 20.0)


def test_the_gain_on_clipped_samples_is_that_of_all_if_the_rest_stays():
  estimate = np.where(IS_CLIPPED, NOISE + 0.25 * (CLIP - NOISE), CLIP)
  gains = [score(x, estimate) for x in (delta_sdr, delta_sdr_clipped)]
  np.testing.assert_allclose(gains, 20 * np.log10(4))


def test_without_clipped_samples_there_is_no_score():
  for metric in (sdr_clipped, delta_sdr_clipped):
    assert np.isnan(score(metric, 0.9 * NOISE, degraded=NOISE))


def test_a_degraded_signal_that_is_not_finite_has_no_score():
  broken = np.concatenate([CLIP, CLIP])
  broken[0, 7] = np.nan
  estimates = np.concatenate([CLIP, CLIP])
  for metric in (delta_sdr, sdr_clipped):
    scores = score(metric, estimates, degraded=broken)
    np.testing.assert_array_equal(np.isnan(scores), [True, False])
