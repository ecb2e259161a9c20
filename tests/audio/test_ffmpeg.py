"""What libsndfile does not read goes through ffmpeg, or says what to do."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from distortion_removal.audio import files

RATE = 44_100
AUDIO = np.random.default_rng(0).integers(-(2**15), 2**15, (3 * RATE, 2), "i2")

needs_ffmpeg = pytest.mark.skipif(
  not shutil.which("ffmpeg"), reason="ffmpeg is not installed"
)


def convert(tmp_path, name, *options):
  """Makes a file of the noise by ffmpeg, and returns its path."""
  path = tmp_path / name
  soundfile.write(tmp_path / "in.wav", AUDIO, RATE)
  command = ["ffmpeg", "-v", "error", "-i", tmp_path / "in.wav", *options]
  subprocess.run([*command, f"file:{path}"], check=True)
  return path


def reason(path):
  with pytest.raises(files.AudioFileError) as caught:
    files.read(path)
  assert str(caught.value) == f"{path}: {caught.value.reason}"
  return caught.value.reason


@needs_ffmpeg
@pytest.mark.parametrize(
  ("name", "options", "subtype"),
  [
    ("a.m4a", ["-c:a", "alac"], "PCM_16"),
    ("http:b%20ü.wv", [], "PCM_16"),
    ("-y.m4a", ["-c:a", "alac", "-sample_fmt", "s32p"], "PCM_24"),
    ("a.mka", ["-c:a", "pcm_f64le"], "DOUBLE"),
  ],
)
def test_lossless_formats_come_back_exact(
  tmp_path, monkeypatch, name, options, subtype
):
  """Whatever their names look like."""
  convert(tmp_path, name, *options)
  monkeypatch.chdir(tmp_path)
  with files.open_reader(name) as reader:
    blocks = list(reader.blocks(50_000, dtype="float64"))
  assert [len(block) for block in blocks] == [50_000, 50_000, 32_300]
  assert {block.dtype for block in blocks} == {np.dtype("float64")}
  np.testing.assert_array_equal(np.concatenate(blocks) * 2**15, AUDIO)
  facts = reader.frames, reader.sample_rate, reader.channels, reader.subtype
  assert facts == (len(AUDIO), RATE, 2, subtype)
  audio, _ = files.read(name)
  assert audio.dtype == np.float32
  np.testing.assert_array_equal(audio * 2**15, AUDIO)


@needs_ffmpeg
def test_the_first_sound_of_a_film(tmp_path):
  picture = ["-f", "lavfi", "-i", "color=s=16x16:d=1"]
  streams = ["-map", "1:v", "-map", "0:a", "-c:a", "aac"]
  path = convert(tmp_path, "a.mp4", *picture, *streams)
  info = files.info(path)
  decode = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"]
  expected = subprocess.run(decode, check=True, capture_output=True).stdout
  expected = np.frombuffer(expected, "<f4").reshape(-1, 2)
  assert (info.frames, info.subtype) == (len(expected), "AAC")
  np.testing.assert_array_equal(files.read(path)[0], expected)
  path = convert(tmp_path, "silent.mp4", *picture, "-map", "1:v")
  assert "there is no sound in it" in reason(path)


@needs_ffmpeg
@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("a.m4a", ["-movflags", "+faststart"]),
    ("a.m4a", []),  # without its directory, which is at the end
    ("a.webm", []),
    ("a.wv", []),
    ("a.oga", ["-c:a", "flac"]),
  ],
)
def test_cut_files_are_told(tmp_path, name, options):
  path = convert(tmp_path, name, *options)
  files.read(path)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  assert "truncated" in reason(path) or "moov atom" in reason(path)


@needs_ffmpeg
def test_ffmpeg_ends_with_the_reader(tmp_path, monkeypatch):
  path = convert(tmp_path, "a.m4a", "-c:a", "alac")
  processes = []

  class Popen(subprocess.Popen):
    def __init__(self, *words, **options):
      super().__init__(*words, **options)
      processes.append(self)

  monkeypatch.setattr(subprocess, "Popen", Popen)
  with files.open_reader(path) as reader:
    blocks = reader.blocks(100)
    next(blocks)
    assert processes[-1].poll() is None
  assert len(processes) == 2
  assert all(process.returncode is not None for process in processes)
  assert reader.frames == len(AUDIO)


def test_without_ffmpeg_a_line_says_what_to_do(tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))
  path = tmp_path / "a.m4a"
  path.write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0isomiso2" + bytes(100))
  line = reason(path)
  assert "ffmpeg" in line and "convert" in line and "\n" not in line
