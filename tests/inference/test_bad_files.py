"""Files that cannot be used, by a network and by a declipper."""

import re

import numpy as np
import pytest
import soundfile
from conftest import files_of

from distortion_removal import config as run_config
from distortion_removal import declipping
from distortion_removal.common.errors import UserError
from distortion_removal.inference import declip, network
from distortion_removal.inference.declip import declip_file
from distortion_removal.inference.restoration import restore_file

RATE = 8_000


@pytest.fixture(params=["network", "declipper", "declipper at a level"])
def restore(request, tiny_config, tmp_path, monkeypatch):
  """Restores a source to a target; `work` is what is done to its audio."""
  run_config.save(tiny_config, tmp_path)

  def run(source, target, subtype=None, work=lambda audio: audio):
    def declipper(audio, clip_level=None, *, frame=64, hop=16, r=1, **_):
      return (work(audio) if audio.size else audio), None

    monkeypatch.setattr(declipping, "declipper", lambda name: declipper)
    monkeypatch.setattr(network, "load_network", lambda *_: work)
    if request.param == "network":
      return restore_file(source, target, tmp_path, subtype=subtype)
    level = 0.3 if request.param == "declipper at a level" else None
    return declip_file(source, target, "aspade", level, subtype=subtype)

  return run


def _clipped(channels=1):
  tone = np.sin(2 * np.pi * 440.0 * np.arange(5 * RATE) / RATE)
  return np.repeat(0.5 * np.clip(tone, -0.9, 0.9)[:, None], channels, axis=1)


def _make_bad_files(folder):
  audio = _clipped()
  soundfile.write(folder / "cut.wav", audio, RATE)
  data = (folder / "cut.wav").read_bytes()
  (folder / "cut.wav").write_bytes(data[: len(data) // 2])
  (folder / "text.wav").write_text("not music")
  audio[-1] = np.nan
  soundfile.write(folder / "nan.wav", audio, RATE, subtype="FLOAT")
  (folder / "folder.wav").mkdir()


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("cut.wav", "truncated"),
    ("text.wav", "not audio in a known format"),
    ("nan.wav", "NaN"),
    ("missing.wav", "no such file"),
    ("folder.wav", "is a directory"),
  ],
)
def test_bad_input_leaves_the_old_output(restore, tmp_path, name, message):
  _make_bad_files(tmp_path)
  (tmp_path / "out.wav").write_text("what was there before")
  before = files_of(tmp_path)
  with pytest.raises(UserError) as caught:
    restore(tmp_path / name, tmp_path / "out.wav")
  pattern = f"{re.escape(str(tmp_path / name))}: .*{message}.*"
  assert re.fullmatch(pattern, str(caught.value))
  assert files_of(tmp_path) == before


@pytest.mark.parametrize(
  ("name", "subtype", "message"),
  [
    ("out.xyz", None, "unknown audio format"),
    ("out.flac", "FLOAT", "the format cannot hold 8 channels"),
    ("missing/out.wav", None, "the folder to write to does not exist"),
  ],
)
def test_bad_output_is_refused_before_any_work(
  restore, tmp_path, name, subtype, message
):
  soundfile.write(tmp_path / "in.wav", _clipped(channels=8), RATE)
  before = files_of(tmp_path)
  with pytest.raises(UserError, match=message):
    restore(tmp_path / "in.wav", tmp_path / name, subtype, work=pytest.fail)
  assert files_of(tmp_path) == before


def _fail(audio):
  if np.any(audio):
    raise RuntimeError("out of memory")
  return audio


def test_work_that_fails_leaves_nothing(restore, tmp_path, monkeypatch):
  """It does so at last: the recording begins with silent chunks."""
  monkeypatch.setattr(declip, "_CHUNK", 1)
  audio = np.concatenate([np.zeros((5 * RATE, 1)), _clipped()])
  soundfile.write(tmp_path / "in.wav", audio, RATE)
  before = files_of(tmp_path)
  with pytest.raises(RuntimeError, match="out of memory"):
    restore(tmp_path / "in.wav", tmp_path / "out.wav", work=_fail)
  assert files_of(tmp_path) == before
