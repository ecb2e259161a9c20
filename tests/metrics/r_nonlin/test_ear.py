"""The gammatone filters against their definition."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.metrics.r_nonlin import ear

RATE = 16_000


def test_centres_are_even_in_erb_number_from_half_the_rate_down():
  centres = ear.centre_frequencies(RATE)
  # The integral of 1 / ERB(f).
  numbers = ear.EAR_Q * np.log(ear.erb_hz(centres))
  top = ear.EAR_Q * np.log(ear.erb_hz(RATE / 2))
  steps = np.diff(np.concatenate([[top], numbers]))
  np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
  # As Glasberg and Moore write it.
  expected = 24.7 * (4.37 * centres / 1000 + 1)
  np.testing.assert_allclose(ear.erb_hz(centres), expected, rtol=1e-3)
  assert len(centres) == 40 and centres[-1] == pytest.approx(50.0)


@pytest.mark.parametrize("centre_hz", [50.0, 440.0, 2000.0])
def test_impulse_response_is_a_gammatone(centre_hz):
  filters = ear.sections(RATE, np.array([centre_hz]))
  impulse = np.zeros(RATE // 4)
  impulse[0] = 1.0
  actual = scipy.signal.sosfilt(filters[0], impulse)
  time = np.arange(len(impulse)) / RATE
  width = 1.019 * (24.7 + centre_hz / 9.26449)
  expected = time**3 * np.exp(-2 * np.pi * width * time)
  expected *= np.cos(2 * np.pi * centre_hz * time)
  cosine = actual @ expected / np.sqrt(actual @ actual * (expected @ expected))
  # The phase of Slaney's zeros is a real gammatone's, up to a sample or so.
  assert cosine > 0.97


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_bandwidth_is_one_erb_and_the_gain_at_the_centre_one(rate):
  centres = ear.centre_frequencies(rate)[5:]
  f = np.linspace(0.0, rate / 2, 20_001)
  for centre_hz, filters in zip(
    centres, ear.sections(rate, centres), strict=True
  ):
    points_hz = np.append(f, centre_hz)
    _, response = scipy.signal.sosfreqz(filters, points_hz, fs=rate)
    power = np.abs(response) ** 2
    assert power[-1] == pytest.approx(1.0, abs=2e-9)
    # Mirror images and DC bend the widest and the lowest a little.
    expected_hz = 24.7 + centre_hz / 9.26449
    assert power[:-1].sum() * f[1] == pytest.approx(expected_hz, rel=0.05)
