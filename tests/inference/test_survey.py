"""What a first reading of a recording finds, against what was written."""

import numpy as np
import pytest
import soundfile
from distortion_removal.inference.survey import survey

from distortion_removal.common.errors import UserError

RATE = 44_100


@pytest.fixture
def source(tmp_path):
  """A path that audio can be written to."""
  return tmp_path / "in.wav"


def _tone(seconds=0.1, peak=0.9):
  """`[time, 1]`."""
  time = np.arange(round(seconds * RATE))[:, None] / RATE
  tone = np.sin(2 * np.pi * 881.0 * time) + 0.2 * np.sin(5_437.0 * time)
  return peak * tone / np.abs(tone).max()


def test_rails_are_found_in_each_channel(source):
  tone = _tone()
  audio = np.concatenate([np.clip(tone, -0.4, 0.5), 0.7 * tone], axis=1)
  soundfile.write(source, audio, RATE, subtype="DOUBLE")
  found = survey(source)
  np.testing.assert_array_equal(found.rails.low, [[-0.4, -np.inf]])
  np.testing.assert_array_equal(found.rails.high, [[0.5, np.inf]])
  assert found.clipped == np.sum((tone <= -0.4) | (tone >= 0.5))
  assert found.peak == np.abs(audio).max()
  assert found.levels == "-0.4 and 0.5 (channel 1); no level (channel 2)"


def test_a_given_level_becomes_the_plateau(source):
  """0.3 is 9830.4 steps of 16 bit, the plateau's is 9830 in the first block."""
  audio = np.clip(_tone(seconds=3.0), -np.inf, 0.3)
  audio[RATE:] *= 0.5
  soundfile.write(source, audio, RATE)
  found = survey(source, (-np.inf, 0.3))
  assert found.levels == f"{9830 / 32768:.6g}"
  written, _ = soundfile.read(source)
  assert found.clipped == np.sum(written == 9830 / 32768)


@pytest.mark.parametrize(
  ("level", "is_low"),
  [
    (0.8, True),
    ((-0.8, np.inf), True),
    ((-np.inf, 0.8), True),
    (0.8995, False),
    (0.95, False),
  ],
)
def test_a_level_clearly_below_the_peak_is_warned_of(
  source, caplog, level, is_low
):
  tone = _tone(peak=0.9)
  audio = np.concatenate([tone, -tone], axis=1)
  soundfile.write(source, audio, RATE, subtype="DOUBLE")
  survey(source, level)
  wanted = (
    f"{source}: samples beyond the given level are taken as clipped at it; "
    "the peak is 0.9"
  )
  assert caplog.messages == [wanted] * is_low


def test_a_level_that_cannot_be(source):
  soundfile.write(source, _tone(), RATE)
  with pytest.raises(UserError, match="clip level"):
    survey(source, -0.3)
