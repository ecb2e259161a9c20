"""Files that are whole come back exact; what is wrong with others is named."""

import errno
import os

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


def test_float64_is_kept_where_it_is_asked_for(tmp_path):
  audio = np.random.default_rng(0).uniform(-1, 1, (1_000, 2))
  files.write(tmp_path / "a.wav", audio, RATE, subtype="DOUBLE")
  with files.open_reader(tmp_path / "a.wav") as reader:
    result = np.concatenate(list(reader.blocks(300, dtype="float64")))
  np.testing.assert_array_equal(result, audio)
  result, _ = files.read(tmp_path / "a.wav")
  np.testing.assert_array_equal(result, np.float32(audio))
  for dtype in ("float64", "float32"):
    place = tmp_path / "beside.wav"
    with files.scratch_file(place, RATE, 2, dtype=dtype) as scratch:
      scratch.write(audio)
      result = np.concatenate(list(scratch.read_blocks(300)))
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, audio.astype(dtype))


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


def test_integer_formats_clip_instead_of_wrapping(tmp_path):
  files.write(tmp_path / "a.wav", 3.0 * sine(), RATE)
  result, _ = files.read(tmp_path / "a.wav")
  expected = np.clip(3.0 * sine(), -1, 1)
  np.testing.assert_allclose(result, expected, rtol=0, atol=2**-14)


def test_blocks_are_the_whole_file(tmp_path):
  audio = sine(seconds=1.1, channels=3)
  files.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
  with files.open_reader(tmp_path / "a.wav") as reader:
    assert (reader.frames, reader.sample_rate) == (len(audio), RATE)
    assert (reader.channels, reader.subtype) == (3, "FLOAT")
    blocks = list(reader.blocks(5_000))
  assert [len(block) for block in blocks] == [5_000, 5_000, 5_000, 2_600]
  np.testing.assert_array_equal(np.concatenate(blocks), audio)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac"])
def test_blocks_of_compressed_audio_join_without_seams(tmp_path, name):
  """soundfile's own block-wise reading of MP3 errs by 0.6 here."""
  try:
    files.write(tmp_path / name, sine(seconds=3.0, rate=44_100), 44_100)
  except UserError:
    pytest.skip(f"this libsndfile cannot write {name}")
  whole, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
  with files.open_reader(tmp_path / name) as reader:
    blocks = list(reader.blocks(5_000))
  np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_info_reads_the_header_only(tmp_path):
  files.write(tmp_path / "a.flac", sine(channels=2), 48_000)
  info = files.info(tmp_path / "a.flac")
  assert (info.frames, info.sample_rate, info.channels) == (RATE, 48_000, 2)
  assert info.subtype == "PCM_16"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path, bad):
  audio = sine()
  audio[-3] = bad
  soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
  with pytest.raises(UserError, match=r"a\.wav: holds NaN or infinite"):
    files.read(tmp_path / "a.wav")
  with pytest.raises(UserError, match=r"b\.wav: not written: NaN"):
    files.write(tmp_path / "b.wav", audio, RATE)
  assert os.listdir(tmp_path) == ["a.wav"]


def test_what_cannot_be_written(tmp_path):
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


def test_scratch_file_gives_back_what_was_written(tmp_path):
  audio = 7.0 * sine(seconds=0.7, channels=2)  # beyond full scale
  with files.scratch_file(tmp_path / "out.wav", RATE, 2) as scratch:
    scratch.write(audio[:3_000])
    scratch.write(audio[3_000:])
    for _ in range(2):
      blocks = list(scratch.read_blocks(4_000))
      np.testing.assert_array_equal(np.concatenate(blocks), audio)
  assert os.listdir(tmp_path) == []
