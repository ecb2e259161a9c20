"""What is drawn and how loud it is, against NumPy on the whole recording."""

import numpy as np
import pytest
import soundfile
from conftest import pluck
from matplotlib.image import imread

from distortion_removal.audio import files
from distortion_removal.local_page import renditions
from distortion_removal.local_page.renditions import Sketch

RATE = 16_000


def sketched(tmp_path, audio, block=1000):
  path = tmp_path / "a.wav"
  soundfile.write(path, audio, RATE, "DOUBLE")
  blocks = (audio[i : i + block] for i in range(0, len(audio), block))
  return renditions.sketch(blocks, files.info(path))


def test_an_outline_holds_every_extreme(tmp_path):
  generator = np.random.default_rng(0)
  audio = generator.uniform(-1, 1, (24_007, 2))
  found = sketched(tmp_path, audio)
  part = np.arange(len(audio)) * 1200 // len(audio)
  edges = np.flatnonzero(np.diff(part, prepend=-1))
  assert np.array_equal(found.low, np.minimum.reduceat(audio, edges).T)
  assert np.array_equal(found.high, np.maximum.reduceat(audio, edges).T)
  assert found.peak == np.abs(audio).max()


def test_of_many_channels_the_mean_is_heard(tmp_path):
  audio = np.stack([0.9 * np.ones(8000), -0.3 * np.ones(8000), np.zeros(8000)])
  found = sketched(tmp_path, audio.T)
  assert found.peak == pytest.approx(0.2)
  assert found.high[0] == pytest.approx(0.9)


def test_a_spectrogram_shows_a_tone_where_and_when_it_sounds(tmp_path):
  time = np.arange(4 * RATE) / RATE
  audio = np.sin(2 * np.pi * 3000 * time) * (time >= 2)
  power = sketched(tmp_path, audio[:, None]).power
  rows, columns = power.shape
  assert rows == 256
  # 3 of 8 kHz, from below; the whole second half.
  row = power.max(axis=1).argmax()
  assert 1 - (row + 0.5) / rows == pytest.approx(3 / 8, abs=1.5 / rows)
  level = power[row] / power.max()
  assert level[: round(0.48 * columns)].max() < 1e-6
  assert level[round(0.52 * columns) :].min() > 0.9
  # In whatever blocks the recording comes.
  others = [sketched(tmp_path, audio[:, None], n).power for n in (64, 10**6)]
  assert all(np.array_equal(power, other) for other in others)


@pytest.mark.parametrize("frames", [2, 900, 1025])
def test_short_recordings_are_drawn(tmp_path, frames):
  found = sketched(tmp_path, pluck(1.0, 440.0, RATE)[1:][:frames])
  assert found.low.shape == (1, min(frames, 1200))
  assert found.power.shape[0] == 256 and found.power.any()
  picture = tmp_path / "a.png"
  renditions.write_spectrogram(
    picture, found.power, renditions.top_db(found.power)
  )
  assert imread(picture).shape[:2] == found.power.shape


def a_sketch(loudness_lufs, peak):
  return Sketch(*np.zeros((3, 1, 1)), loudness_lufs, peak)


@pytest.mark.parametrize(
  ("levels", "expected"),
  [
    # As it is while it is alone.
    ({"before": (-20, 0.5)}, {"before": 0.0}),
    # The other is brought to its loudness,
    (
      {"before": (-20, 0.5), "after": (-18, 0.9), "difference": (-30, 0.1)},
      {"before": 0.0, "after": -2.0, "difference": 10.0},
    ),
    # or both lower where a peak would clip,
    (
      {"before": (-20, 1.0), "after": (-23, 0.99)},
      {"before": -3.0, "after": 0.0},
    ),
    # which the difference may not ask for.
    (
      {"before": (-20, 0.5), "after": (-20, 0.5), "difference": (-40, 0.495)},
      {"before": 0.0, "after": 0.0, "difference": 20 * np.log10(2)},
    ),
    # Silence has nothing to match.
    (
      {"before": (-20, 0.5), "after": (-20, 0.5), "difference": (-np.inf, 0)},
      {"before": 0.0, "after": 0.0, "difference": 0.0},
    ),
    ({"before": (-np.inf, 0.0)}, {"before": 0.0}),
  ],
)
def test_versions_are_equally_loud(levels, expected):
  sketches = {name: a_sketch(*level) for name, level in levels.items()}
  found = renditions.gains(sketches)
  decibels = {name: 20 * np.log10(gain) for name, gain in found.items()}
  assert decibels == pytest.approx(expected, abs=1e-6)
