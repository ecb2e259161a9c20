"""WAVs whose header was never finished are read to the end, others believed."""

import struct

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files
from distortion_removal.audio.files import iff

RATE = 16_000
AUDIO = np.random.default_rng(0).integers(-(2**15), 2**15, (3_000, 2), "i2")
LIST = b"LIST" + struct.pack("<I", 12) + b"INFOICMT" + bytes(4)


def wav(riff, data, extra=b"", form=b"RIFF", before=b""):
  """A 16-bit stereo WAV that says these sizes, in bytes."""
  fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, RATE, 4 * RATE, 4, 16)
  head = form + struct.pack("<I", riff) + b"WAVE" + before + fmt
  return head + b"data" + struct.pack("<I", data) + AUDIO.tobytes() + extra


def ds64(riff, data, frames):
  return b"ds64" + struct.pack("<IQQQI", 28, riff, data, frames, 0)


def read(path, content):
  path.write_bytes(content)
  audio, _ = files.read(path)
  assert files.info(path).frames == len(audio)
  return audio * 2**15


@pytest.mark.parametrize(
  "sizes",
  [
    {"riff": 0, "data": 0},
    {"riff": 36, "data": 0},
    {"riff": 12_036, "data": 0},
    {"riff": 0, "data": 0xFFFFFFFF},
    {"riff": 0xFFFFFFFF, "data": 0xFFFFFFFF},
    {"riff": 0xFFFFFFFF, "data": 0xFFFFFFFF - 36},
    {"riff": 0x7FFFFFFF, "data": 0x7FFFFFFF - 36},
    {
      "riff": 0,
      "data": 0,
      "before": b"bext" + struct.pack("<I", 602) + bytes(602),
    },
    *(
      {
        "riff": 0xFFFFFFFF,
        "data": 0xFFFFFFFF,
        "form": form,
        "before": ds64(size, size, size),
      }
      for size in (0, 2**64 - 1, 2**63 - 1)
      for form in (b"RF64", b"BW64")
    ),
  ],
)
def test_sizes_that_were_never_filled_in(tmp_path, caplog, sizes):
  path = tmp_path / "a.wav"
  np.testing.assert_array_equal(read(path, wav(**sizes)), AUDIO)
  (record,) = caplog.records
  assert record.levelname == "WARNING"
  assert str(path) in record.getMessage()


def test_samples_are_not_taken_for_chunks(tmp_path):
  """They would be copied into what is made of the recording."""
  path = tmp_path / "a.wav"
  content = wav(0, 0).replace(AUDIO[:2].tobytes(), b"abcd\4\0\0\0", 1)
  path.write_bytes(content)
  assert [c.name for c in iff.read_container(path).chunks] == [b"fmt "]
  path.write_bytes(wav(12_056, 12_000, LIST))
  names = [c.name for c in iff.read_container(path).chunks]
  assert names == [b"fmt ", b"data", b"LIST"]


def test_half_a_sample_at_the_end_is_left_out(tmp_path):
  """The power went in the middle of it."""
  audio = read(tmp_path / "a.wav", wav(0, 0)[:-3])
  np.testing.assert_array_equal(audio, AUDIO[:-1])


@pytest.mark.parametrize(
  ("content", "frames"),
  [
    (wav(12_036, 12_000), 3_000),
    (wav(0, 12_000), 3_000),
    (wav(12_056, 12_000, LIST), 3_000),
    (wav(8_036, 8_000), 2_000),
    (wav(8_036, 8_000, b"garbage"), 2_000),
  ],
)
def test_sizes_that_are_believed(tmp_path, caplog, content, frames):
  audio = read(tmp_path / "a.wav", content)
  np.testing.assert_array_equal(audio, AUDIO[:frames])
  assert not caplog.records


def test_an_empty_recording_with_other_chunks_is_empty(tmp_path):
  content = wav(56, 0).replace(AUDIO.tobytes(), LIST)
  with pytest.raises(files.AudioFileError, match="holds no samples"):
    read(tmp_path / "a.wav", content)


@pytest.mark.parametrize(
  "content",
  [
    wav(12_036, 12_000),
    wav(2**32 - 1, 2**32 - 1, b"", b"RF64", ds64(12_072, 12_000, 3_000)),
  ],
)
def test_a_cut_file_is_still_told(tmp_path, content):
  with pytest.raises(files.AudioFileError, match="truncated"):
    read(tmp_path / "a.wav", content[:-400])


@pytest.mark.parametrize("data", [0, 0xFFFFFFFF, None])
def test_more_than_four_gigabytes(tmp_path, data):
  """None: a count of 32 bits that ran over. The file is sparse."""
  size = 2**32 + 400_000
  path = tmp_path / "a.wav"
  declared = size % 2**32 if data is None else data
  path.write_bytes(wav(declared, declared))
  with path.open("r+b") as file:
    file.truncate(44 + size)
  assert files.info(path).frames == size // 4
  assert soundfile.info(path).frames < size // 4
