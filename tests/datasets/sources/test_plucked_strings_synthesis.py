"""What is played can be played; excerpts are functions of seed and index."""

import itertools

import numpy as np
import pytest
from scipy import signal

from distortion_removal.datasets.sources.plucked_strings import (
  playing,
  synthesis,
)

RATE = 16000
GUITAR = (40, 45, 50, 55, 59, 64)
BASS = (28, 33, 38, 43)


def render(index, **options):
  options = {"seed": 0, "seconds": 2.0, "sample_rate": RATE} | options
  return synthesis.render(index, **options)


@pytest.fixture(scope="module")
def twenty():
  return [render(index) for index in range(20)]


def test_an_excerpt_depends_on_seed_and_index_alone(twenty):
  for index in (11, 4, 17):  # in another order than the fixture's
    assert render(index).tobytes() == twenty[index].tobytes()
  different = [*twenty[:2], render(0, seed=1)]
  for one, two in itertools.combinations(different, 2):
    assert not np.allclose(one, two)


def test_the_numbers_have_not_changed():
  """A data set that changes silently would change every result."""
  expected = [0.000057, -0.116908, 0.053346, -0.00316, -0.002097]
  expected += [0.040099, 0.021059, 0.003329, 0.042979, 0.05217]
  np.testing.assert_allclose(render(0)[::3200, 0], expected, atol=1e-4)


@pytest.mark.parametrize(("index", "seconds"), [(0, 2.0), (1, 1.2345)])
def test_the_same_excerpt_is_played_at_every_rate(index, seconds):
  """All but its noise, which is drawn sample by sample."""
  low = render(index, seconds=seconds)
  high = render(index, seconds=seconds, sample_rate=48000)
  assert low.dtype == np.float32
  assert low.shape == (round(seconds * RATE), 1)
  assert high.shape == (round(seconds * 48000), 1)
  match = np.corrcoef(signal.resample_poly(high[:, 0], 1, 3), low[:, 0])
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


def test_nothing_clips_and_levels_spread(twenty):
  assert np.isfinite(twenty).all()
  peaks_db = [20.0 * np.log10(np.abs(audio).max()) for audio in twenty]
  assert max(peaks_db) < -0.9
  assert min(peaks_db) > -20.5
  loudness_db = [10.0 * np.log10(np.mean(audio**2)) for audio in twenty]
  assert np.ptp(loudness_db) > 15.0
  # A clipped waveform rests on its maximum; a string does not.
  for audio in twenty:
    assert (np.abs(audio) > 0.999 * np.abs(audio).max()).sum() <= 3


def pieces(open_midi, seconds=10.0, count=60):
  for seed in range(count):
    yield playing.compose(np.random.default_rng(seed), open_midi, seconds)


@pytest.mark.parametrize("open_midi", [GUITAR, BASS])
def test_a_string_sounds_one_note_at_a_time_within_its_frets(open_midi):
  for notes in pieces(open_midi):
    for string, open_string in enumerate(open_midi):
      line = [note for note in notes if note.string == string]
      assert all(0 <= note.midi - open_string <= 24 for note in line)
      for note, following in itertools.pairwise(line):
        assert note.start_s + note.duration_s <= following.start_s + 1e-9


@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_every_excerpt_has_a_note_in_it(seconds):
  for notes in pieces(GUITAR, seconds):
    assert any(-0.02 <= note.start_s < 0.82 * seconds for note in notes)
    assert all(note.start_s < seconds for note in notes)
    assert all(note.start_s + note.duration_s > 0 for note in notes)


def test_a_guitar_plays_chords_and_lines_and_a_bass_only_lines():
  def strings_at_once(notes):
    start_s = np.array([note.start_s for note in notes])
    return (np.abs(start_s - start_s[:, None]) < 0.05).sum(axis=1).max()

  chords = [strings_at_once(notes) >= 4 for notes in pieces(GUITAR)]
  assert 0.1 < np.mean(chords) < 0.7
  assert not any(strings_at_once(notes) >= 4 for notes in pieces(BASS))
