"""PEAQ's ear against closed forms and formulas written out in loops."""

import numpy as np
import pytest

from distortion_removal.metrics.peaq import ear_model


def sine(frequency_hz, peak=1.0):
  time = np.arange(ear_model.FRAME) / ear_model.RATE
  samples = peak * np.sin(2 * np.pi * frequency_hz * time)
  return ear_model.FULL_SCALE * samples[None]


@pytest.mark.parametrize(("peak", "level_db"), [(1.0, 92.0), (0.1, 72.0)])
def test_full_scale_is_92_db(peak, level_db):
  spectrum_db = 20 * np.log10(ear_model.magnitudes(sine(1019.5, peak))[0])
  assert abs(spectrum_db.max() - level_db) < 1e-3
  assert np.argmax(spectrum_db) == round(1019.5 * 2048 / 48_000)


def test_bark_scale():
  np.testing.assert_allclose(ear_model.bark(0.0), 0.0)
  # 7 asinh(sinh(1)) at 650 sinh(1) Hz.
  np.testing.assert_allclose(ear_model.bark(650 * np.sinh(1.0)), 7.0)


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


def test_bins_are_shared_between_the_bands_they_overlap():
  """Each band gets, of a flat spectrum, its width in bins, ear applied."""
  bin_hz = ear_model.RATE / ear_model.FRAME
  bands = ear_model.critical_bands()
  energy = ear_model.band_energy(np.ones((1, 1025)))[:, 0]
  for band in (0, 3, 40, 66, 70, 108):
    expected = 0.0
    for k in range(1, 1025):
      low = max(bands["lower"][band], (k - 0.5) * bin_hz)
      high = min(bands["upper"][band], (k + 0.5) * bin_hz)
      gain_db = ear_model.ear_weighting_db(np.array(k * bin_hz))
      expected += max(high - low, 0.0) / bin_hz * 10 ** (gain_db / 10)
    np.testing.assert_allclose(energy[band], expected, rtol=1e-12)
  silence = ear_model.band_energy(np.zeros((1, 1025)))
  np.testing.assert_array_equal(silence, 1e-12)


def spread_in_loops(energy):
  """The standard's formula, before the division, from band to band."""
  centres = ear_model.CENTRES_HZ
  total = np.zeros(109)
  for source in range(109):
    level_db = 10 * np.log10(energy[source])
    upward_db = -24.0 - 230.0 / centres[source] + 0.2 * level_db
    shape = np.empty(109)
    for band in range(109):
      slope_db = 27.0 if band < source else upward_db
      shape[band] = 10 ** (slope_db * (band - source) * 0.25 / 10)
    total += (energy[source] * shape / shape.sum()) ** 0.4
  return total**2.5


def test_spreading_is_the_formula():
  rng = np.random.default_rng(0)
  energy = 10 ** rng.uniform(-1, 9, (109, 3))
  energy[:, 1] = 1e-3
  energy[50, 1] = 1e8  # a band alone
  flat = spread_in_loops(np.ones(109))
  expected = [spread_in_loops(column) / flat for column in energy.T]
  np.testing.assert_allclose(ear_model.spread(energy).T, expected, rtol=1e-10)
  ones = np.ones((109, 1))
  np.testing.assert_allclose(ear_model.spread(ones), ones, rtol=1e-12)


def test_excitation_has_the_internal_noise_of_silence():
  silence = ear_model.excitation(np.zeros((1, 1025)))
  noise = 10 ** (0.1456 * (ear_model.CENTRES_HZ / 1000) ** -0.8)
  expected = spread_in_loops(noise + 1e-12) / spread_in_loops(np.ones(109))
  np.testing.assert_allclose(silence[:, 0], expected, rtol=1e-10)
