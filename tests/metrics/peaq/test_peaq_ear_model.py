"""PEAQ's ear against the standard's table, closed forms and loops."""

import frame_by_frame_ear
import numpy as np
import pytest

from distortion_removal.metrics.peaq import ear_model, patterns


def sine(frequency_hz, peak=1.0):
  time = np.arange(ear_model.FRAME) / ear_model.RATE
  samples = peak * np.sin(2 * np.pi * frequency_hz * time)
  return ear_model.FULL_SCALE * samples[None]


@pytest.mark.parametrize(("peak", "level_db"), [(1.0, 92.0), (0.1, 72.0)])
def test_full_scale_is_92_db(peak, level_db):
  spectrum_db = 20 * np.log10(ear_model.magnitudes(sine(1019.5, peak))[0])
  assert abs(spectrum_db.max() - level_db) < 1e-3
  assert np.argmax(spectrum_db) == round(1019.5 * 2048 / 48_000)


def test_critical_bands_are_those_of_the_standard():
  """Rows of its table, to the mHz it prints, its misprints included."""
  bands = ear_model.critical_bands()
  table = {
    0: (80.0, 91.708, 103.445),
    1: (103.445, 115.216, 127.023),
    28: (893.091, 912.959, 933.113),
    29: (933.119, 953.576, 974.336),
    66: (3853.817, 3923.748, 3995.399),
    70: (4452.890, 4533.963, 4643.482),
    71: (4616.482, 4700.473, 4785.962),
    100: (13_061.229, 13_294.850, 13_536.710),
    108: (17_385.420, 17_690.045, 18_000.0),
  }
  assert ear_model.BANDS == 109
  for band, row in table.items():
    actual = [bands[edge][band] for edge in ("lower", "centre", "upper")]
    np.testing.assert_allclose(actual, row, atol=0.003)


def test_ear_weighting():
  # At 1 kHz the resonance is 6.5 exp(-0.6 2.3^2), at 3.3 kHz all of 6.5 dB.
  actual = ear_model.ear_weighting_db(np.array([1000.0, 3300.0, 10_000.0]))
  resonance = 6.5 * np.exp(-0.6 * 2.3**2)
  expected = [
    -2.184 + resonance - 0.001,
    -2.184 * 3.3**-0.8 + 6.5 - 0.001 * 3.3**3.6,
    -2.184 * 10**-0.8 - 0.001 * 10**3.6,  # its resonance is below 1e-11
  ]
  np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_spreading_is_the_formula():
  rng = np.random.default_rng(0)
  energy = 10 ** rng.uniform(-1, 9, (109, 3))
  energy[:, 1] = 1e-3
  energy[50, 1] = 1e8  # a band alone
  flat = frame_by_frame_ear.spread(np.ones(109))
  expected = [frame_by_frame_ear.spread(column) / flat for column in energy.T]
  np.testing.assert_allclose(ear_model.spread(energy).T, expected, rtol=1e-10)
  ones = np.ones((109, 1))
  np.testing.assert_allclose(ear_model.spread(ones), ones, rtol=1e-12)


def test_total_loudness_of_a_band():
  """All bands but one below their threshold, where loudness is 0."""
  excitation = np.zeros((109, 1))
  excitation[36] = 1e6
  khz = ear_model.CENTRES_HZ[36] / 1000
  threshold = 10 ** (0.364 * khz**-0.8)
  index_db = -2 - 2.05 * np.arctan(khz / 4) - 0.75 * np.arctan((khz / 1.6) ** 2)
  s = 10 ** (index_db / 10)
  specific = 1.07664 * (threshold / s / 1e4) ** 0.23
  specific *= (1 - s + s * 1e6 / threshold) ** 0.23 - 1
  actual = patterns.total_loudness(excitation)
  np.testing.assert_allclose(actual, 24 / 109 * specific, rtol=1e-12)


def test_adaptation_removes_a_gain():
  excitation = 10 ** np.random.default_rng(0).uniform(0, 7, (109, 1))
  same, louder = (
    patterns.patterns(np.repeat(gain * excitation, 60, axis=1))
    for gain in (1, 10)
  )
  target, estimate = patterns.adapt(same, louder)
  np.testing.assert_allclose(estimate, target, rtol=1e-12)
