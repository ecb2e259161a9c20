"""Files beyond 4 GiB become RF64, or are refused before any work.

The limit is moved, so that small files are beyond it.
"""

import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files
from distortion_removal.audio.files import writing
from distortion_removal.inference.declip import declip_file

RATE = 8_000
FRAMES = 1_001


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch):
  monkeypatch.setattr(writing, "LARGEST_BYTES", 1_000)


@pytest.fixture
def audio():
  codes = np.random.default_rng(0).integers(-9_000, 9_000, (FRAMES, 1))
  return codes / 32768


def test_large_wav_is_rf64(tmp_path, audio):
  path = tmp_path / "a.wav"
  files.write(path, audio, RATE)
  data = path.read_bytes()
  assert data[:4] == b"RF64"
  # EBU Tech 3306: sizes of the file and of the samples, and the frames.
  sizes = struct.unpack("<QQQ", data[20:44])
  assert sizes == (len(data) - 8, 2 * FRAMES, FRAMES)
  np.testing.assert_array_equal(files.read(path)[0], np.float32(audio))


@pytest.mark.skipif(not shutil.which("sox"), reason="SoX is not installed")
def test_sox_reads_it_whole(tmp_path, audio):
  files.write(tmp_path / "a.wav", audio, RATE)
  command = ["soxi", "-s", tmp_path / "a.wav"]
  result = subprocess.run(command, capture_output=True, check=True)
  assert int(result.stdout) == FRAMES


def test_a_cut_rf64_file_is_noticed(tmp_path, audio):
  path = tmp_path / "a.wav"
  files.write(path, audio, RATE)
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(files.AudioFileError, match="truncated"):
    files.read(path)


def test_up_to_the_limit_a_wav_file_is_plain(tmp_path, audio):
  files.write(tmp_path / "a.wav", audio[:500], RATE)
  data = (tmp_path / "a.wav").read_bytes()
  assert (data[:4], len(data)) == (b"RIFF", 44 + 1_000)


@pytest.mark.parametrize(
  ("name", "subtype"), [("out.aiff", None), ("out.wav", "MS_ADPCM")]
)
def test_what_cannot_be_large_is_refused_before_work(
  tmp_path, audio, monkeypatch, name, subtype
):
  soundfile.write(tmp_path / "in.wav", audio, RATE)
  monkeypatch.setattr(files.Reader, "blocks", None)  # No sample is read.
  with pytest.raises(files.AudioFileError, match=r"4 GiB.*flac"):
    declip_file(tmp_path / "in.wav", tmp_path / name, "aspade", subtype=subtype)
  assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.w64", "a.flac"])
def test_other_formats_have_no_such_limit(tmp_path, audio, name):
  files.write(tmp_path / name, audio, RATE)
  np.testing.assert_array_equal(
    files.read(tmp_path / name)[0], np.float32(audio)
  )


def test_more_than_was_announced_is_refused(tmp_path, audio):
  with pytest.raises(files.AudioFileError, match="4 GiB"):
    files.write_blocks(tmp_path / "a.wav", [audio], RATE, 1)
  assert not list(tmp_path.iterdir())
