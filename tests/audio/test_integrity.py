"""Every way in which a file is not whole has its own words."""

import struct

import numpy as np
import pytest

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError

RATE = 16_000


def sine():
  wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
  return wave[:, None].astype(np.float32)


def reason(path):
  with pytest.raises(files.AudioFileError) as caught:
    files.read(path)
  assert str(caught.value) == f"{path}: {caught.value.reason}"
  return caught.value.reason


def truncate(path, share):
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])


def test_files_that_are_not_audio(tmp_path):
  assert reason(tmp_path / "missing.wav") == "no such file or directory"
  assert reason(tmp_path) == "is a directory"
  (tmp_path / "zero.wav").touch()
  assert reason(tmp_path / "zero.wav") == "empty file"
  (tmp_path / "text.wav").write_text("Dear diary, today I wrote a text file.")
  assert reason(tmp_path / "text.wav") == "not audio in a known format"
  (tmp_path / "noise.raw").write_bytes(bytes(range(256)))
  assert reason(tmp_path / "noise.raw") == "not audio in a known format"
  files.write(tmp_path / "none.wav", np.zeros((0, 1)), RATE)
  assert reason(tmp_path / "none.wav") == "holds no samples"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize(
  "name", ["a.wav", "a.aiff", "a.w64", "a.flac", "a.ogg", "a.opus", "a.mp3"]
)
def test_truncated_files(tmp_path, name, share):
  # Noise: its frames of compressed audio are large and many.
  rng = np.random.default_rng(0)
  path = tmp_path / name
  audio = 0.1 * rng.standard_normal((5 * RATE, 1))
  try:
    files.write(path, audio.astype(np.float32), RATE)
  except UserError:
    pytest.skip(f"this libsndfile cannot write {name}")
  assert len(files.read(path)[0]) == len(audio)
  truncate(path, share)
  assert reason(path).startswith("truncated")


def test_truncated_wav_says_how_much_is_missing(tmp_path):
  path = tmp_path / "a.wav"
  files.write(path, sine(), RATE)  # 44 bytes of header, 32000 of samples
  path.write_bytes(path.read_bytes()[:-1_000])
  assert reason(path) == "truncated: 31000 of 32000 bytes are there"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_is_whole(tmp_path, size):
  """Such headers hold a placeholder, for the writer could not seek back."""
  path = tmp_path / "a.wav"
  files.write(path, sine(), RATE)
  data = bytearray(path.read_bytes())
  data[40:44] = struct.pack("<I", size)
  path.write_bytes(data)
  result, _ = files.read(path)
  np.testing.assert_allclose(result, sine(), rtol=0, atol=2**-15)
