"""ESR against closed forms and SciPy's filter."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.metrics.error_to_signal import esr
from distortion_removal.metrics.si_sdr import sdr


def _noise(seed, shape=(2, 3000, 2)):
  return np.random.default_rng(seed).standard_normal(shape)


def test_it_is_sdr_without_the_logarithm():
  target, estimate = _noise(0), _noise(0) + 0.3 * _noise(1)
  ratio_db = sdr(estimate, target, sample_rate=44_100)
  actual = esr(estimate, target, sample_rate=44_100)
  np.testing.assert_allclose(actual, 10 ** (-ratio_db / 10))


@pytest.mark.parametrize(
  ("scale", "expected"), [(1.0, 0.0), (0.5, 0.25), (0.0, 1.0), (-1.0, 4.0)]
)
def test_scale_and_sign_count(scale, expected):
  target = _noise(2)
  actual = esr(scale * target, target, sample_rate=44_100)
  np.testing.assert_allclose(actual, expected, atol=1e-15)


def test_pre_emphasis_is_a_filter_on_both():
  target, estimate = _noise(3), _noise(3) + _noise(4)
  high = [
    scipy.signal.lfilter([1.0, -0.95], [1.0], x, axis=1)
    for x in (target - estimate, target)
  ]
  error, energy = (np.sum(x**2, axis=(1, 2)) for x in high)
  actual = esr(estimate, target, sample_rate=44_100, pre_emphasis=0.95)
  np.testing.assert_allclose(actual, error / energy)
