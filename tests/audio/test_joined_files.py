"""MP3, Ogg and FLAC are read to where decoding ends, joined files whole."""

import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files

RATE = 44_100
FRAME = 1152  # samples of an MP3's frame
DELAY = 576 + 529  # samples: LAME's, and that of any decoder


def sine(seconds, rate=RATE, frequency_hz=440.0):
  time_s = np.arange(round(seconds * rate)) / rate
  return 0.5 * np.sin(2 * np.pi * frequency_hz * time_s)[:, None]


def write(path, audio, rate=RATE):
  """Writes a file with soundfile alone, and returns its bytes."""
  subtype = "OPUS" if path.suffix == ".opus" else None
  format_ = {".mp3": "MP3", ".flac": "FLAC"}.get(path.suffix, "OGG")
  soundfile.write(path, audio, rate, subtype, format=format_)
  return path.read_bytes()


def frame_length(head):
  """Bytes of an MPEG 1 layer III frame, by its header."""
  kbps = (0, *range(32, 65, 8), *range(80, 129, 16), *range(160, 257, 32), 320)
  rate = (44_100, 48_000, 32_000)[head[2] >> 2 & 3]
  return 144_000 * kbps[head[2] >> 4] // rate + (head[2] >> 1 & 1)


def without_tag(mp3):
  """Drops the frame that counts the others, as a stream has none."""
  assert mp3[:2] == b"\xff\xfb" and mp3[21:25] in (b"Info", b"Xing")
  return mp3[frame_length(mp3) :]


def with_count(mp3, more):
  (count,) = struct.unpack(">I", mp3[29:33])
  return mp3[:29] + struct.pack(">I", count + more) + mp3[33:]


def check(path, expected, tolerance=0.0):
  """Compares `frames`, known before any decoding, and the samples."""
  files.reading._facts.cache_clear()
  assert files.info(path).frames == len(expected)
  audio, _ = files.read(path)
  np.testing.assert_allclose(audio, expected, rtol=0, atol=tolerance)


def reason(path):
  with pytest.raises(files.AudioFileError) as caught:
    files.read(path)
  return caught.value.reason


def test_mp3_without_a_count(tmp_path):
  """What is loud first makes libsndfile's own estimate too short."""
  path = tmp_path / "a.mp3"
  audio = sine(4.0)
  audio[:RATE] += 0.1 * np.random.default_rng(0).standard_normal((RATE, 1))
  audio[2 * RATE :] *= 1e-4
  path.write_bytes(without_tag(write(path, audio)))
  assert soundfile.info(path).frames < 0.9 * len(audio)
  result, _ = files.read(path)
  assert len(result) == files.info(path).frames
  # Whole frames, of which the last holds the end.
  missing = len(result) - DELAY - len(audio)
  assert len(result) % FRAME == 0 and 0 <= missing < 2 * FRAME
  tone = slice(RATE + FRAME, len(audio))
  result = result[DELAY : DELAY + len(audio)]
  np.testing.assert_allclose(result[tone], audio[tone], rtol=0, atol=0.01)


def test_a_rip_that_starts_and_ends_within_a_frame(tmp_path, caplog):
  mp3 = without_tag(write(tmp_path / "a.mp3", sine(2.0)))
  rip = tmp_path / "rip"  # no suffix helps
  rip.write_bytes(mp3[frame_length(mp3) // 2 : -20])
  (tmp_path / "whole.mp3").write_bytes(mp3)
  whole = files.info(tmp_path / "whole.mp3").frames
  audio, _ = files.read(rip)
  assert len(audio) == whole - 2 * FRAME
  # The first frames miss bits that lay in those before them.
  tone = slice(10 * FRAME, 2 * RATE - 2 * FRAME)
  audio, expected = audio[tone], sine(2.0)[FRAME - DELAY :][tone]
  np.testing.assert_allclose(audio, expected, rtol=0, atol=0.01)
  assert not caplog.records


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus", ".flac"])
def test_joined_files_are_one_after_the_other(tmp_path, suffix):
  rate = 48_000 if suffix == ".opus" else RATE
  sounds = [sine(1.0, rate), sine(1.5, rate, 330.0)]
  paths = [tmp_path / f"{i}{suffix}" for i in range(2)]
  contents = [
    write(path, s, rate) for path, s in zip(paths, sounds, strict=True)
  ]
  joined = tmp_path / f"joined{suffix}"
  joined.write_bytes(b"".join(contents))
  expected = np.concatenate([files.read(path)[0] for path in paths])
  assert len(expected) == sum(map(len, sounds))
  check(joined, expected)


@pytest.mark.parametrize("between", [b"", b"ID3\4\0\0\0\0\1\0" + bytes(128)])
def test_an_mp3_whose_count_leaves_out_what_follows(tmp_path, between):
  first = write(tmp_path / "a.mp3", sine(1.0))
  second = without_tag(write(tmp_path / "b.mp3", sine(1.0, frequency_hz=330.0)))
  (tmp_path / "b.mp3").write_bytes(second)
  (tmp_path / "joined.mp3").write_bytes(first + between + second)
  audio, _ = files.read(tmp_path / "joined.mp3")
  expected, _ = files.read(tmp_path / "b.mp3")
  assert len(audio) - len(expected) >= RATE
  audio = audio[-len(expected) :]  # The first one's end dies away in it.
  np.testing.assert_allclose(audio, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("more", "is_whole"), [(-9, 1), (1, 1), (2, 0)])
def test_a_count_is_believed_as_far_as_the_frames_go(tmp_path, more, is_whole):
  """Some encoders count the frame of the tag as well."""
  path = tmp_path / "a.mp3"
  mp3 = write(path, sine(1.0))
  path.write_bytes(with_count(mp3, more))
  if is_whole:
    (tmp_path / "b.mp3").write_bytes(without_tag(mp3))
    check(path, files.read(tmp_path / "b.mp3")[0])
  else:
    assert reason(path).startswith("truncated: ")


def test_a_hole_in_an_mp3_is_reported(tmp_path, caplog):
  path = tmp_path / "a.mp3"
  mp3 = without_tag(write(path, sine(2.0)))
  whole = files.info(path).frames
  path.write_bytes(mp3[:8000] + bytes(5000) + mp3[13_000:])
  audio, _ = files.read(path)
  assert FRAME <= whole - len(audio) < 0.5 * RATE
  assert [str(path) in record.getMessage() for record in caplog.records] == [1]
  files.read(path)
  assert len(caplog.records) == 1


def test_flac_of_unknown_length(tmp_path):
  """As from a pipe: STREAMINFO says 0 samples, in 36 bits."""
  path = tmp_path / "a.flac"
  audio = sine(1.0)
  flac = bytearray(write(path, audio))
  flac[21] &= 0xF0
  flac[22:26] = bytes(4)
  path.write_bytes(flac)
  check(path, audio, tolerance=2**-15)
  path.write_bytes(flac[: len(flac) // 2])
  assert reason(path).startswith("truncated or damaged")


def test_joined_rates_need_ffmpeg(tmp_path, monkeypatch):
  path = tmp_path / "a.ogg"
  content = write(path, sine(1.0)) + write(path, sine(1.0, 32_000), 32_000)
  path.write_bytes(content)
  if shutil.which("ffmpeg"):
    audio, rate = files.read(path)
    assert rate == RATE
    assert len(audio) == pytest.approx(2 * RATE, abs=0.02 * RATE)
    files.reading._facts.cache_clear()
  monkeypatch.setenv("PATH", str(tmp_path))
  message = reason(path)
  assert "different rates" in message and "ffmpeg" in message


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
@pytest.mark.parametrize(
  ("rate", "options"),
  [
    (44_100, "-c:a libmp3lame -b:a 128k"),
    (44_100, "-c:a libmp3lame -q:a 4"),
    (8_000, "-c:a libmp3lame"),  # "MPEG 2.5"
    (22_050, "-c:a libmp3lame -ac 2"),
    (48_000, "-c:a mp2 -b:a 64k"),
    (24_000, "-c:a mp2 -b:a 160k"),
  ],
)
def test_mpeg_from_a_pipe_is_as_long_as_ffmpeg_decodes(tmp_path, rate, options):
  """It is an independent decoder; files from a pipe have no count."""
  soundfile.write(tmp_path / "a.wav", sine(1.5, rate), rate)
  path = tmp_path / "a.mp3"
  run = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *options.split()]
  kind = "mp2" if "mp2" in options else "mp3"
  path.write_bytes(_output([*run, "-f", kind, "-"]))
  decode = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"]
  channels = 2 if "-ac" in options else 1
  expected = np.frombuffer(_output(decode), "<f4").reshape(-1, channels)
  check(path, expected, tolerance=1e-4)


def _output(command):
  return subprocess.run(command, check=True, capture_output=True).stdout
