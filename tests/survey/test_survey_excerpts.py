"""The excerpts that a survey takes of recordings."""

import numpy as np
import pytest
import soundfile
from conftest import RATE

from distortion_removal.common.errors import UserError
from experiments.survey import excerpts

FORM = {"seconds": 1.0, "sample_rate": RATE, "count": 1}


def _noise(levels, seed=0):
  """Noise in stereo, a second at each level."""
  random = np.random.default_rng(seed)
  gains = np.repeat(levels, RATE)[:, None]
  return gains * random.uniform(-1, 1, (len(gains), 2))


def _put(path, audio, rate=RATE):
  path.parent.mkdir(parents=True, exist_ok=True)
  soundfile.write(path, audio, rate, subtype="FLOAT")
  return path


def test_the_loudest_second_of_each_part_in_mono(tmp_path):
  audio = _noise([0.1, 0.1, 0.4, 0.1, 0.9, 0.1, 0.1, 0.2])
  path = _put(tmp_path / "a.wav", audio)
  mono = audio.mean(axis=1, keepdims=True)
  for count, starts in ((1, [4]), (2, [2, 4])):
    found = excerpts.loudest(path, 1.0, RATE, count)
    for excerpt, start in zip(found, starts, strict=True):
      expected = mono[start * RATE : (start + 1) * RATE]
      np.testing.assert_allclose(excerpt, expected, atol=1e-6)
  # There are eight parts of a second, and two of three and a half.
  assert len(excerpts.loudest(path, 1.0, RATE, 99)) == 8
  lengths = [len(x) for x in excerpts.loudest(path, 3.5, RATE, 99)]
  assert lengths == [round(3.5 * RATE)] * 2


def test_an_excerpt_is_whole_unless_its_recording_is_shorter(tmp_path):
  rising = _noise([0.1, 0.2, 0.3])[: int(2.77 * RATE)]
  path = _put(tmp_path / "a.wav", rising)
  (excerpt,) = excerpts.loudest(path, 1.25, RATE, 1)
  assert len(excerpt) == 1.25 * RATE
  (excerpt,) = excerpts.loudest(path, 6.0, RATE, 3)
  np.testing.assert_allclose(excerpt[:, 0], rising.mean(axis=1), atol=1e-6)
  (excerpt,) = excerpts.loudest(path, 1.0, 2 * RATE, 1)
  assert len(excerpt) == 2 * RATE


def test_recordings_become_excerpts_at_a_peak_of_one(tmp_path):
  recordings, output = tmp_path / "recordings", tmp_path / "output"
  _put(recordings / "quiet.wav", _noise([0.01, 0.02]))
  _put(recordings / "below" / "loud.aiff", _noise([0.9, 0.8, 0.7]), 2 * RATE)
  _put(recordings / "short.wav", _noise([0.5])[:900])
  _put(recordings / "silent.wav", _noise([0.0, 0.0]))
  (recordings / "notes.txt").write_text("no sound")
  excerpts.cut_folder(recordings, output, **FORM)
  folder = output / "excerpts"
  names = ("quiet.wav.wav", "below/loud.aiff.wav")
  found = {
    path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")
  }
  assert found == {*names, "noise, not used.wav"}
  for name in names:
    audio, rate = soundfile.read(folder / name)
    assert (rate, audio.shape) == (RATE, (RATE,))
    assert np.abs(audio).max() == 1
  before = (folder / names[0]).stat().st_mtime_ns
  excerpts.cut_folder(recordings, output, **FORM)
  assert (folder / names[0]).stat().st_mtime_ns == before


def test_excerpts_are_never_taken_for_others(tmp_path):
  recordings, output = tmp_path / "recordings", tmp_path / "output"
  _put(recordings / "a.wav", _noise([0.1, 0.2]))
  excerpts.cut_folder(recordings, output, **FORM)
  for changed in ({"seconds": 1.5}, {"count": 2}, {"sample_rate": 2 * RATE}):
    with pytest.raises(UserError, match="choose another --output"):
      excerpts.cut_folder(recordings, output, **FORM | changed)
  _put(recordings / "a.wav", _noise([0.1, 0.2], seed=1))
  with pytest.raises(UserError, match="choose another --output"):
    excerpts.cut_folder(recordings, output, **FORM)


def test_no_recording_leaves_nothing(tmp_path):
  recordings, output = tmp_path / "recordings", tmp_path / "output"
  with pytest.raises(UserError, match="not a folder"):
    excerpts.cut_folder(recordings, output, **FORM)
  _put(recordings / "silent.wav", _noise([0.0, 0.0]))
  with pytest.raises(UserError, match="no recording that can be used"):
    excerpts.cut_folder(recordings, output, **FORM)
  assert not any(output.iterdir())
