"""Pipes are recordings: read as often as files, written whole."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from conftest import ROOT, files_of

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError

RATE = 16_000
AUDIO = np.random.default_rng(0).uniform(-1, 1, (50_000, 1)).astype(np.float32)


@pytest.fixture
def fifo(tmp_path, monkeypatch):
  """A named pipe that gets a WAV once; temporary files lie in `temporary`."""
  (tmp_path / "temporary").mkdir()
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
  path = tmp_path / "fifo"
  os.mkfifo(path)
  yield path
  assert not files_of(tmp_path / "temporary")


def wav():
  place = io.BytesIO()
  soundfile.write(place, AUDIO, RATE, "FLOAT", format="WAV")
  return place.getvalue()


def feed(path, content):
  thread = threading.Thread(target=path.write_bytes, args=[content])
  thread.start()
  return thread


def test_a_pipe_is_read_twice(fifo):
  writer = feed(fifo, wav())
  with files.spooling():
    assert files.info(fifo).frames == len(AUDIO)
    for _ in range(2):
      np.testing.assert_array_equal(files.read(fifo)[0], AUDIO)
  writer.join()
  with pytest.raises(UserError, match="fifo: a pipe can be read only once"):
    files.info(fifo)


def test_tags_of_a_pipe_are_kept(fifo, tmp_path):
  text = (
    b"LIST" + (22).to_bytes(4, "little") + b"INFOINAM\x0a\0\0\0A pipe\0\0\0\0"
  )
  writer = feed(fifo, wav() + text)
  target = tmp_path / "a.wav"
  with files.spooling(), files.open_reader(fifo) as reader:
    files.write_blocks(target, reader.blocks(), RATE, 1, source=reader)
  writer.join()
  assert target.read_bytes().endswith(text)


@pytest.mark.parametrize(
  ("content", "message"),
  [(b"", "empty file"), (b"text", "not audio"), (wav()[:-9], "truncated")],
)
def test_errors_name_the_pipe(fifo, content, message):
  writer = feed(fifo, content)
  with pytest.raises(files.AudioFileError) as caught, files.spooling():
    files.read(fifo)
  writer.join()
  assert str(caught.value).startswith(f"{fifo}: {message}")


@pytest.mark.parametrize("is_piped", [True, False])
def test_standard_input(fifo, is_piped):
  (fifo.parent / "a.wav").write_bytes(wav())
  end, other = os.pipe()
  writer = threading.Thread(
    target=lambda: os.fdopen(other, "wb").write(wav()) if is_piped else None
  )
  writer.start()
  saved = os.dup(0)
  with (fifo.parent / "a.wav").open() as file:
    os.dup2(end if is_piped else file.fileno(), 0)
    try:
      with files.spooling():
        for name in ("-", "/dev/stdin") if not is_piped else ("-",):
          np.testing.assert_array_equal(files.read(name)[0], AUDIO)
    finally:
      os.dup2(saved, 0)
  writer.join()


def test_what_is_no_recording(fifo):
  with pytest.raises(files.AudioFileError, match="is a device or a terminal"):
    files.read("/dev/zero")


def test_a_pipe_gets_the_whole_output(fifo, capsysbinary):
  received = []
  reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
  reader.start()
  for target in (fifo, "-"):
    with files.piped_output(type(fifo)(target)) as path:
      print("status")
      files.write(path, AUDIO, RATE, subtype="FLOAT")
  reader.join()
  printed = capsysbinary.readouterr()
  for content in (*received, printed.out):
    audio, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(audio, AUDIO[:, 0])
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
  assert printed.err == b"status\n" * 2


def test_output_errors_name_the_pipe(fifo, tmp_path):
  with (
    pytest.raises(
      files.AudioFileError, match=r"^/dev/stdout: the format cannot"
    ),
    files.piped_output(type(fifo)("/dev/stdout")) as path,
  ):
    files.write(path, AUDIO, RATE, subtype="VORBIS")
  with files.piped_output(tmp_path / "a.wav") as path:
    assert path == tmp_path / "a.wav"


def test_a_terminal_is_no_place_for_a_wav(fifo, monkeypatch):
  monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
  with (
    pytest.raises(UserError, match="stdout is a terminal"),
    files.piped_output(type(fifo)("-")),
  ):
    pass


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_reader_that_had_enough_is_no_error(size):
  """One write fits into the buffer of stdout, the other does not."""
  code = (
    "from distortion_removal.common.errors import one_line_errors\n"
    "with one_line_errors():\n"
    "  input()\n"
    f"  print('x' * {size})"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code],
    cwd=ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )
  process.stdout.close()
  process.stdin.write(b"now\n")
  process.stdin.close()
  assert process.stderr.read() == b""
  process.stderr.close()
  assert process.wait() == 1
