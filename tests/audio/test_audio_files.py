"""Whole files come back exact; every way of not being whole is named."""

import errno
import os
import struct

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError

RATE = 16_000


def sine(seconds=1.0, rate=RATE, channels=1, frequency_hz=440.0):
  time_s = np.arange(round(seconds * rate)) / rate
  wave = 0.5 * np.sin(2 * np.pi * frequency_hz * time_s)
  return np.tile(wave[:, None], (1, channels)).astype(np.float32)


@pytest.mark.parametrize(
  ("name", "subtype", "tolerance"),
  [
    ("a.wav", None, 2**-15),
    ("a.WAV", "PCM_24", 2**-23),
    ("a.flac", None, 2**-15),
    ("a.flac", "PCM_24", 2**-23),
    ("a.aif", "FLOAT", 0.0),
    ("a.w64", "FLOAT", 0.0),
    ("a.ogg", None, 0.02),
  ],
)
def test_write_then_read(tmp_path, name, subtype, tolerance):
  """Integer formats clip at full scale instead of wrapping."""
  scale = 3.0 if tolerance and name != "a.ogg" else 1.0
  audio = scale * sine(channels=2)
  files.write(tmp_path / name, audio, RATE, subtype=subtype)
  result, rate = files.read(tmp_path / name)
  assert (rate, result.dtype) == (RATE, np.float32)
  expected = np.clip(audio, -1, 1)
  np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
  assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
  ("subtype", "dtype"), [("FLOAT", "float32"), ("DOUBLE", "float64")]
)
def test_blocks_are_the_whole_file(tmp_path, subtype, dtype):
  audio = np.random.default_rng(0).uniform(-1, 1, (17_600, 3)).astype(dtype)
  files.write(tmp_path / "a.wav", audio, RATE, subtype=subtype)
  with files.open_reader(tmp_path / "a.wav") as reader:
    blocks = list(reader.blocks(5_000, dtype=dtype))
  assert [len(block) for block in blocks] == [5_000, 5_000, 5_000, 2_600]
  np.testing.assert_array_equal(np.concatenate(blocks), audio)
  whole, _ = files.read(tmp_path / "a.wav")
  np.testing.assert_array_equal(whole, np.float32(audio))
  info = files.info(tmp_path / "a.wav")
  facts = info.frames, info.sample_rate, info.channels, info.subtype
  assert facts == (17_600, RATE, 3, subtype)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac"])
def test_blocks_of_compressed_audio_join_without_seams(tmp_path, name):
  """soundfile's own block-wise reading of MP3 errs by 0.6 here."""
  files.write(tmp_path / name, sine(seconds=3.0, rate=44_100), 44_100)
  whole, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
  with files.open_reader(tmp_path / name) as reader:
    blocks = list(reader.blocks(5_000))
  np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_leave_the_old_file(tmp_path, bad):
  path = tmp_path / "a.wav"
  audio = sine()
  audio[-3] = bad
  files.write(path, sine(), RATE, subtype="FLOAT")
  with pytest.raises(UserError, match=r"a\.wav: not written: NaN"):
    files.write_blocks(path, np.split(audio, 2), RATE, 1)
  np.testing.assert_array_equal(files.read(path)[0], sine())
  assert os.listdir(tmp_path) == ["a.wav"]
  soundfile.write(path, audio, RATE, subtype="FLOAT")
  assert reason(path) == "holds NaN or infinite samples"


@pytest.mark.parametrize(
  ("name", "channels", "subtype", "message"),
  [
    ("a.txt", 1, None, "unknown audio format"),
    ("a.flac", 9, None, "cannot hold 9 channels at 16000 Hz"),
    ("a.flac", 1, "FLOAT", "cannot hold .* FLOAT"),
    ("none/a.wav", 1, None, "the folder to write to does not exist"),
  ],
)
def test_mistakes_of_writing(tmp_path, name, channels, subtype, message):
  with pytest.raises(UserError, match=message):
    files.write(tmp_path / name, sine(channels=channels), RATE, subtype=subtype)
  assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
  ("free", "code"), [(0, errno.ENOSPC), (1 << 40, errno.EIO)]
)
def test_disk_errors_name_the_file(tmp_path, monkeypatch, free, code):
  def fail(self, data):
    raise soundfile.LibsndfileError(2)  # libsndfile's SF_ERR_SYSTEM

  usage = type("Usage", (), {"free": free})
  monkeypatch.setattr(soundfile.SoundFile, "write", fail)
  monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
  with pytest.raises(OSError) as caught:
    files.write(tmp_path / "a.wav", sine(), RATE)
  assert caught.value.errno == code
  assert caught.value.filename == str(tmp_path / "a.wav")
  assert os.listdir(tmp_path) == []


def reason(path):
  """Returns why a file cannot be read."""
  with pytest.raises(files.AudioFileError) as caught:
    files.read(path)
  assert str(caught.value) == f"{path}: {caught.value.reason}"
  return caught.value.reason


def test_files_that_are_not_audio(tmp_path):
  assert reason(tmp_path / "missing.wav") == "no such file or directory"
  assert reason(tmp_path) == "is a directory"
  for name, content, expected in (
    ("zero.wav", b"", "empty file"),
    ("text.wav", b"Dear diary, today I wrote a", "not audio in a known format"),
    ("noise.raw", bytes(range(256)), "not audio in a known format"),
  ):
    (tmp_path / name).write_bytes(content)
    # With or without ffmpeg, which is asked as well.
    assert reason(tmp_path / name).partition(";")[0] == expected
  files.write(tmp_path / "none.wav", np.zeros((0, 1)), RATE)
  assert reason(tmp_path / "none.wav") == "holds no samples"


@pytest.mark.parametrize("share", [0.1, 0.99])
@pytest.mark.parametrize(
  "name", ["a.wav", "a.aiff", "a.w64", "a.flac", "a.ogg", "a.opus", "a.mp3"]
)
def test_truncated_files(tmp_path, name, share):
  path = tmp_path / name
  # Noise: its frames of compressed audio are large and many.
  audio = 0.1 * np.random.default_rng(0).standard_normal((5 * RATE, 1))
  files.write(path, audio.astype(np.float32), RATE)
  assert len(files.read(path)[0]) == len(audio)
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])
  assert reason(path).startswith("truncated")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_is_whole(tmp_path, size):
  """Such headers hold a placeholder, for the writer could not seek back."""
  path = tmp_path / "a.wav"
  files.write(path, sine(), RATE)  # 44 bytes of header, 32000 of samples
  data = bytearray(path.read_bytes())
  path.write_bytes(data[:-1_000])
  assert reason(path) == "truncated: 31000 of 32000 bytes are there"
  data[40:44] = struct.pack("<I", size)
  path.write_bytes(data)
  result, _ = files.read(path)
  np.testing.assert_allclose(result, sine(), rtol=0, atol=2**-15)
