"""Excerpts: a function of seed and index, clean, and of many levels."""

import numpy as np
import pytest
from scipy import signal

from distortion_removal.datasets.sources.plucked_strings import synthesis

RATE = 16000


def render(index, **options):
  options = {"seed": 0, "seconds": 2.0, "sample_rate": RATE} | options
  return synthesis.render(index, **options)


@pytest.fixture(scope="module")
def fifty():
  return [render(index) for index in range(50)]


def test_an_excerpt_depends_on_seed_and_index_alone(fifty):
  for index in (31, 4, 17):  # in another order than the fixture's
    assert render(index).tobytes() == fifty[index].tobytes()
  other = render(0, seed=1)
  for one, two in ((fifty[0], fifty[1]), (fifty[0], other), (fifty[1], other)):
    assert not np.allclose(one, two)


def test_the_numbers_have_not_changed():
  """A data set that changes silently would change every result."""
  expected = [0.000057, -0.116908, 0.053346, -0.00316, -0.002097]
  expected += [0.040099, 0.021059, 0.003329, 0.042979, 0.05217]
  np.testing.assert_allclose(render(0)[::3200, 0], expected, atol=1e-4)


@pytest.mark.parametrize(
  ("sample_rate", "seconds"), [(44100, 1.5), (16000, 2.345)]
)
def test_any_length_at_any_rate(sample_rate, seconds):
  audio = render(3, sample_rate=sample_rate, seconds=seconds)
  assert audio.shape == (round(seconds * sample_rate), 1)
  assert audio.dtype == np.float32


@pytest.mark.parametrize("index", range(2))
def test_the_same_excerpt_is_played_at_every_rate(index):
  """All but its noise, which is drawn sample by sample."""
  high = render(index, sample_rate=48000)[:, 0]
  match = np.corrcoef(signal.resample_poly(high, 1, 3), render(index)[:, 0])
  assert match[0, 1] > 0.99


def test_the_pickup_has_its_analogue_response():
  """Against SciPy's response of the same circuit, as polynomials."""
  rng = np.random.default_rng(5)
  instrument = synthesis.draw_instrument(rng)._replace(
    resonance_hz=3000.0, resonance_q=2.0, tone_hz=4000.0
  )
  impulse = np.zeros(RATE)
  impulse[RATE // 2] = 1.0
  heard = synthesis.pickup(impulse, instrument, sample_rate=RATE)
  hz = np.array([100, 1000, 3000, 6000])
  measured = np.abs(np.fft.rfft(heard))[hz]

  coil = 2.0 * np.pi * 3000.0
  tone, rumble = 2.0 * np.pi * 4000.0, 2.0 * np.pi * 25.0
  numerator = [coil**2 * tone, 0.0]
  denominator = np.polymul([1.0, coil / 2.0, coil**2], [1.0, tone])
  denominator = np.polymul(denominator, [1.0, rumble])
  _, expected = signal.freqs(numerator, denominator, 2.0 * np.pi * hz)
  np.testing.assert_allclose(measured, np.abs(expected), rtol=0.01)


def test_nothing_clips_and_levels_spread(fifty):
  assert np.isfinite(fifty).all()
  peaks_db = [20.0 * np.log10(np.abs(audio).max()) for audio in fifty]
  assert max(peaks_db) < -0.9
  assert min(peaks_db) > -20.5
  loudness_db = [10.0 * np.log10(np.mean(audio**2)) for audio in fifty]
  assert np.ptp(loudness_db) > 15.0
  # A clipped waveform rests on its maximum; a string does not.
  for audio in fifty:
    assert (np.abs(audio) > 0.999 * np.abs(audio).max()).sum() <= 3
