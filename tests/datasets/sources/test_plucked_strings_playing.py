"""What is played can be played."""

import itertools

import numpy as np
import pytest

from distortion_removal.datasets.sources.plucked_strings import playing

GUITAR = (40, 45, 50, 55, 59, 64)
BASS = (28, 33, 38, 43)


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
