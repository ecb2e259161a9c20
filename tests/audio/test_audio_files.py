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


def write_or_skip(path, audio, rate=RATE):
  try:
    files.write(path, audio, rate)
  except UserError:
    pytest.skip(f"this libsndfile cannot write {path.suffix}")


@pytest.mark.parametrize(
  ("name", "subtype", "tolerance"),
  [
    ("a.wav", "FLOAT", 0.0),
    ("a.wav", None, 2**-15),
    ("a.WAV", "PCM_24", 2**-23),
    ("a.flac", None, 2**-15),
    ("a.flac", "PCM_24", 2**-23),
    ("a.aiff", None, 2**-15),
    ("a.aif", "FLOAT", 0.0),
    ("a.w64", "FLOAT", 0.0),
    ("a.ogg", None, 0.02),
  ],
)
def test_write_then_read(tmp_path, name, subtype, tolerance):
  audio = sine(channels=2)
  files.write(tmp_path / name, audio, RATE, subtype=subtype)
  result, rate = files.read(tmp_path / name)
  assert rate == RATE
  assert result.dtype == np.float32
  np.testing.assert_allclose(result, audio, rtol=0, atol=tolerance)
  assert os.listdir(tmp_path) == [name]


def test_float64_is_kept_on_request(tmp_path):
  audio = np.random.default_rng(0).uniform(-1, 1, (1_000, 2))
  files.write(tmp_path / "a.wav", audio, RATE, subtype="DOUBLE")
  with files.open_reader(tmp_path / "a.wav") as reader:
    result = np.concatenate(list(reader.blocks(300, dtype="float64")))
  np.testing.assert_array_equal(result, audio)
  result, _ = files.read(tmp_path / "a.wav")
  np.testing.assert_array_equal(result, np.float32(audio))


def test_integer_formats_clip_instead_of_wrapping(tmp_path):
  files.write(tmp_path / "a.wav", 3.0 * sine(), RATE)
  result, _ = files.read(tmp_path / "a.wav")
  expected = np.clip(3.0 * sine(), -1, 1)
  np.testing.assert_allclose(result, expected, rtol=0, atol=2**-14)


def test_blocks_are_the_whole_file(tmp_path):
  audio = sine(seconds=1.1, channels=3)
  files.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
  with files.open_reader(tmp_path / "a.wav") as reader:
    blocks = list(reader.blocks(5_000))
  assert [len(block) for block in blocks] == [5_000, 5_000, 5_000, 2_600]
  np.testing.assert_array_equal(np.concatenate(blocks), audio)
  info = files.info(tmp_path / "a.wav")
  assert (info.frames, info.sample_rate) == (len(audio), RATE)
  assert (info.channels, info.subtype) == (3, "FLOAT")


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac"])
def test_blocks_of_compressed_audio_join_without_seams(tmp_path, name):
  """soundfile's own block-wise reading of MP3 errs by 0.6 here."""
  write_or_skip(tmp_path / name, sine(seconds=3.0, rate=44_100), 44_100)
  whole, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
  with files.open_reader(tmp_path / name) as reader:
    blocks = list(reader.blocks(5_000))
  np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path, bad):
  audio = sine()
  audio[-3] = bad
  soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
  assert reason(tmp_path / "a.wav") == "holds NaN or infinite samples"
  with pytest.raises(UserError, match=r"b\.wav: not written: NaN"):
    files.write(tmp_path / "b.wav", audio, RATE)
  assert os.listdir(tmp_path) == ["a.wav"]


def test_mistakes_of_writing(tmp_path):
  with pytest.raises(UserError, match="unknown audio format"):
    files.write(tmp_path / "a.txt", sine(), RATE)
  with pytest.raises(UserError, match="cannot hold 9 channels at 16000 Hz"):
    files.write(tmp_path / "a.flac", sine(channels=9), RATE)
  with pytest.raises(UserError, match=r"cannot hold .* FLOAT"):
    files.write(tmp_path / "a.flac", sine(), RATE, subtype="FLOAT")
  with pytest.raises(UserError, match="the folder to write to does not exist"):
    files.write(tmp_path / "none" / "a.wav", sine(), RATE)
  assert os.listdir(tmp_path) == []


def test_failing_writer_keeps_the_old_file(tmp_path):
  files.write(tmp_path / "a.wav", sine(), RATE, subtype="FLOAT")

  def blocks():
    yield np.zeros((100, 1), np.float32)
    raise RuntimeError("the network broke")

  with pytest.raises(RuntimeError, match="the network broke"):
    files.write_blocks(tmp_path / "a.wav", blocks(), RATE, 1)
  np.testing.assert_array_equal(files.read(tmp_path / "a.wav")[0], sine())
  assert os.listdir(tmp_path) == ["a.wav"]


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scratch_file_gives_back_what_was_written(tmp_path, dtype):
  rng = np.random.default_rng(0)
  audio = rng.uniform(-7, 7, (10_000, 2)).astype(dtype)  # beyond full scale
  place = tmp_path / "out.wav"
  with files.scratch_file(place, RATE, 2, dtype=dtype) as scratch:
    scratch.write(audio[:3_000])
    scratch.write(audio[3_000:])
    for _ in range(2):
      result = np.concatenate(list(scratch.read_blocks(4_000)))
      assert result.dtype == dtype
      np.testing.assert_array_equal(result, audio)
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
  path = tmp_path / name
  # Noise: its frames of compressed audio are large and many.
  audio = 0.1 * np.random.default_rng(0).standard_normal((5 * RATE, 1))
  write_or_skip(path, audio.astype(np.float32))
  assert len(files.read(path)[0]) == len(audio)
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * share)])
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
