"""The gammatone filters against their definition and SciPy's filtering."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.metrics.r_nonlin import correlation, ear

RATE = 16_000


def test_centres_are_even_in_erb_number_from_half_the_rate_down():
  centres = ear.centre_frequencies(RATE)
  # The integral of 1 / ERB(f).
  numbers = ear.EAR_Q * np.log(ear.erb_hz(centres))
  top = ear.EAR_Q * np.log(ear.erb_hz(RATE / 2))
  steps = np.diff(np.concatenate([[top], numbers]))
  np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
  assert len(centres) == 40 and centres[-1] == pytest.approx(50.0)


def test_erb_of_glasberg_and_moore():
  # 24.7 (4.37 f / 1000 + 1) of their paper, at 1 kHz 132.6 Hz.
  f = np.array([50.0, 1000.0, 8000.0])
  expected = 24.7 * (4.37 * f / 1000 + 1)
  np.testing.assert_allclose(ear.erb_hz(f), expected, rtol=1e-3)


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
  for centre_hz, filters in zip(
    centres, ear.sections(rate, centres), strict=True
  ):
    f = np.linspace(0.0, rate / 2, 20_001)
    power = np.ones_like(f)
    at_centre = 1.0
    for section in filters:
      b, a = section[:3], section[3:]
      power *= np.abs(scipy.signal.freqz(b, a, f, fs=rate)[1]) ** 2
      at_centre *= scipy.signal.freqz(b, a, [centre_hz], fs=rate)[1][0]
    assert abs(at_centre) == pytest.approx(1.0, abs=1e-9)
    measured_hz = power.sum() * (f[1] - f[0])
    # Mirror images and DC bend the widest and the lowest a little.
    assert measured_hz == pytest.approx(24.7 + centre_hz / 9.26449, rel=0.05)


def test_correlations_against_filtering_and_numpy():
  frame, count, lag, tail, rate = 120, 3, 40, 2400, 4000
  size = tail + frame * count
  rng = np.random.default_rng(0)
  signals = rng.standard_normal((3, size))
  signals[:, : tail // 2] = 0.0
  filters = ear.sections(rate, ear.centre_frequencies(rate))
  outputs = np.array(
    [[scipy.signal.sosfilt(sos, x) for sos in filters] for x in signals]
  )
  frames = outputs[..., -frame * count :].reshape(3, 40, count, frame)
  energy = np.sum(frames**2, axis=-1)
  expected = np.empty((2, 40, count))
  for k, band, i in np.ndindex(*expected.shape):
    full = np.correlate(frames[k + 1, band, i], frames[0, band, i], "full")
    near = full[frame - 1 - lag : frame + lag]
    norm = np.sqrt(energy[k + 1, band, i] * energy[0, band, i])
    expected[k, band, i] = near.max() / norm

  target, *estimates = signals.astype(np.float32)
  actual = correlation.frame_correlations(
    target,
    estimates,
    ear.frequency_responses(size, rate),
    frame=frame,
    count=count,
    max_lag=lag,
  )
  np.testing.assert_allclose(actual[0], expected, atol=1e-5)
  np.testing.assert_allclose(actual[1], energy[1:], rtol=1e-4)
  np.testing.assert_allclose(actual[2], energy[0], rtol=1e-4)
