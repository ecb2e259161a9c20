"""Reads what libsndfile does not know (M4A, WMA, WebM, …) through ffmpeg.

ffmpeg is a program of its own, which need not be there. It decodes a file's
first audio stream to its standard output, as the samples come.
"""

import contextlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.common.log import warn_once

# Sun's AU: as much header as is needed, and no limit of length.
_AU_HEADER = struct.Struct(">4s5I")
_ENCODINGS = {"float32": "pcm_f32be", "float64": "pcm_f64be"}
_LOSSLESS = ("alac", "ape", "flac", "pcm", "tak", "tta", "wavpack")
_SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "flt": "FLOAT", "dbl": "DOUBLE"}
_STREAM = re.compile(
  r": Audio: (\w+).*?, \d+ Hz, .*?, ([a-z]+\d*?)p?(?: \((\d+) bit\))?(?:,|$)",
  re.M,
)
_ERROR = re.compile(r"(?:\[[^\]]* @ \w+\] )?\[(?:error|fatal)\] (.*)")
_DURATION = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")
_UNKNOWN_FORMAT = "Invalid data found when processing input"
# So much less than the header says is a loss, if ffmpeg reports errors as well.
_LOST_SECONDS = 0.1


class Format(NamedTuple):
  """What is known of a stream before it is decoded."""

  sample_rate: int
  channels: int
  subtype: str  # libsndfile's name, for lossless codecs; else the codec's


class _Stream(NamedTuple):
  """What a running ffmpeg writes, from its first sample on."""

  process: subprocess.Popen
  log: IO[bytes]
  sample_rate: int
  channels: int


def is_there() -> bool:
  """Returns whether ffmpeg is on the PATH."""
  return shutil.which("ffmpeg") is not None


def examine(path: Path, name: Path) -> Format:
  """Finds out whether ffmpeg reads a file, and how it is stored.

  `name` is what messages call the file, here and below.

  Raises:
    AudioFileError: it does not; the reason may be empty.
  """
  with _decoding(path, name, "float32") as stream:
    match = _STREAM.search("\n".join(_log_lines(stream.log)))
  codec, sample_format, bits = match.groups() if match else ("unknown", "", "")
  subtype = codec.upper()
  if codec.startswith(_LOSSLESS):
    integers = "PCM_24" if bits == "24" else "PCM_32"
    subtype = _SUBTYPES.get(sample_format, integers)
  return Format(stream.sample_rate, stream.channels, subtype)


def decode(
  path: Path, name: Path, frames: int, dtype: str
) -> Iterator[np.ndarray]:
  """Yields the samples in blocks `[frames, channels]`, the last one shorter.

  Raises:
    AudioFileError: the end is missing. What else ffmpeg finds is a warning.
  """
  kind = np.dtype(dtype)
  count = 0
  with _decoding(path, name, kind.name) as stream:
    size = frames * stream.channels * kind.itemsize
    while content := stream.process.stdout.read(size):
      block = np.frombuffer(content, kind.newbyteorder(">"))
      block = block.reshape(-1, stream.channels).astype(kind)
      count += len(block)
      yield block
    failed = stream.process.wait() != 0
    _report(name, _log_lines(stream.log), count / stream.sample_rate, failed)


@contextlib.contextmanager
def _decoding(path: Path, name: Path, dtype: str) -> Iterator[_Stream]:
  """Runs ffmpeg, which ends with this context."""
  command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats"]
  command += ["-loglevel", "level+info", "-protocol_whitelist", "file,pipe"]
  # With `file:`, no name is taken for an option or another protocol.
  command += ["-i", b"file:" + os.fsencode(path.absolute()), "-map", "0:a:0"]
  command += ["-c:a", _ENCODINGS[dtype], "-f", "au", "pipe:1"]
  with tempfile.TemporaryFile() as log:
    process = subprocess.Popen(
      command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
    )
    # Leaving it closes the pipe and waits.
    with process:
      try:
        head = process.stdout.read(_AU_HEADER.size)
        if len(head) < _AU_HEADER.size:
          process.wait()
          raise AudioFileError(name, _refusal(_log_lines(log)))
        _, start, _, _, sample_rate, channels = _AU_HEADER.unpack(head)
        process.stdout.read(start - len(head))
        yield _Stream(process, log, sample_rate, channels)
      finally:
        process.kill()


def _log_lines(log: IO[bytes]) -> list[str]:
  log.seek(0)
  return log.read().decode(errors="replace").splitlines()


def _errors(lines: Iterable[str]) -> list[str]:
  """Returns what errors say, without who reports them of what."""
  matches = map(_ERROR.match, lines)
  return [match[1].rpartition(": ")[2] for match in matches if match]


def _refusal(lines: Sequence[str]) -> str:
  """Returns why ffmpeg reads nothing, "" if it does not know the format."""
  errors = [*_errors(lines), _UNKNOWN_FORMAT]
  if "matches no streams" in errors[0]:
    return "there is no sound in it"
  return "" if errors[0] == _UNKNOWN_FORMAT else f"ffmpeg: {errors[0]}"


def _report(
  name: Path, lines: Sequence[str], seconds: float, failed: bool
) -> None:
  """Reports what ffmpeg says of a decoded file."""
  text, errors = "\n".join(lines), _errors(lines)
  promised_seconds = 0.0
  # An estimate promises nothing.
  if (match := _DURATION.search(text)) and "Estimating duration" not in text:
    hours, minutes, rest = map(float, match.groups())
    promised_seconds = 3600 * hours + 60 * minutes + rest
  if failed or (errors and seconds < promised_seconds - _LOST_SECONDS):
    reason = f"truncated or damaged: decoding stops at {seconds:.2f} s"
    if promised_seconds:
      reason += f" of {promised_seconds:.2f} s"
    raise AudioFileError(name, "; ffmpeg: ".join([reason, *errors[-1:]]))
  if errors:
    warn_once(f"{name}: may be damaged or cut; ffmpeg: {errors[0]}")
