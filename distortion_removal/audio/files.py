"""Reads and writes audio files in blocks of bounded memory.

Audio is `[time, channels]` float32, or float64 on request. A file that cannot
be used (not audio, cut short, NaN) raises an error with its name and the
reason.
"""

import contextlib
import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.audio import integrity
from distortion_removal.audio.integrity import AudioFileError
from distortion_removal.common.files import replacing

FORMATS = {
  **{".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".w64": "W64"},
  **dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF"),
  **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
}
BLOCK_FRAMES = 1 << 16


class Reader(soundfile.SoundFile):
  """An audio file open for reading once, front to back.

  Its header's `frames` (samples per channel), `sample_rate`, `channels` and
  `subtype` stay readable when it is closed.
  """

  def __init__(self, path: Path):
    super().__init__(os.fsencode(path))  # As bytes: any name is possible.
    self.path = path
    self.sample_rate = self.samplerate

  def seekable(self) -> bool:
    """Returns False, for soundfile would seek to where it is after each block.

    That makes libsndfile's MP3 decoder drop the bits it carries over: errors up
    to full scale at every block.
    """
    return False

  def blocks(
    self, frames: int = BLOCK_FRAMES, *, dtype: str = "float32"
  ) -> Iterator[np.ndarray]:
    """Yields the audio in blocks `[frames, channels]`, the last one shorter.

    A `dtype` of "float64" holds any sample format exactly.
    """
    position = 0
    while position < self.frames:
      try:
        block = self.read(frames, dtype=dtype, always_2d=True)
      except soundfile.LibsndfileError:
        block = np.zeros((0, self.channels), dtype)
      if not len(block):
        reason = f"truncated or damaged: decoding stops at frame {position}"
        raise AudioFileError(self.path, f"{reason} of {self.frames}")
      if not np.isfinite(block).all():
        raise AudioFileError(self.path, "holds NaN or infinite samples")
      position += len(block)
      yield block


def open_reader(path: str | os.PathLike) -> Reader:
  """Opens an audio file of any format that libsndfile knows."""
  path = Path(path)
  try:
    with path.open("rb") as file:
      is_empty = not file.read(1)
  except OSError as error:
    raise AudioFileError(path, error.strerror.lower()) from None
  if is_empty:
    raise AudioFileError(path, "empty file")
  try:
    reader = Reader(path)
  except (soundfile.LibsndfileError, TypeError) as error:
    # 1: SF_ERR_UNRECOGNISED_FORMAT. TypeError: .raw files have no header.
    reason = "truncated or damaged header"
    if getattr(error, "code", 1) == 1:
      reason = "not audio in a known format"
    raise AudioFileError(path, reason) from None
  if reason := integrity.defect(reader, path):
    reader.close()
    raise AudioFileError(path, reason)
  return reader


def info(path: str | os.PathLike) -> Reader:
  """Reads the header, and returns a closed reader."""
  with open_reader(path) as reader:
    return reader


def read(path: str | os.PathLike) -> tuple[np.ndarray, int]:
  """Reads a file: `[time, channels]` float32 and the sample rate in Hz."""
  with open_reader(path) as reader:
    return np.concatenate(list(reader.blocks())), reader.sample_rate


def write(
  path: str | os.PathLike,
  audio: np.ndarray,
  sample_rate: int,
  *,
  subtype: str | None = None,
) -> None:
  """Writes `[time, channels]` audio; see `write_blocks`."""
  write_blocks(path, [audio], sample_rate, audio.shape[1], subtype=subtype)


def write_blocks(
  path: str | os.PathLike,
  blocks: Iterable[np.ndarray],
  sample_rate: int,
  channels: int,
  *,
  subtype: str | None = None,
) -> None:
  """Writes consecutive blocks to an audio file, which is whole or not there.

  Args:
    path: the file; its suffix decides the format.
    blocks: `[time, channels]` float32 or float64.
    sample_rate: in Hz.
    channels: number of channels.
    subtype: libsndfile's name of the sample format ('PCM_24', 'FLOAT'); None
      takes the format's usual one. Integer formats clip at ±1.

  Raises:
    AudioFileError: the format is unknown or cannot hold this audio, the folder
      is missing, or a block holds NaN.
    OSError: the disk is full, or the folder cannot be written.
  """
  path = Path(path)
  check_format(path, sample_rate, channels, subtype)
  with replacing(path) as partial:
    partial.touch()  # The system says why it cannot; libsndfile does not.
    with (
      _disk_errors(path),
      # As bytes: any name is possible.
      _create(
        path, os.fsencode(partial), sample_rate, channels, subtype
      ) as file,
    ):
      for block in blocks:
        if not np.isfinite(block).all():
          raise AudioFileError(path, "not written: NaN or infinite samples")
        file.write(block)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
  """Turns libsndfile's "System error", when writing, into an `OSError`."""
  try:
    yield
  except soundfile.LibsndfileError as error:
    full = shutil.disk_usage(path.parent).free < BLOCK_FRAMES
    code = errno.ENOSPC if full else errno.EIO
    raise OSError(code, os.strerror(code), str(path)) from error


def check_format(
  path: str | os.PathLike, sample_rate: int, channels: int, subtype: str | None
) -> None:
  """Checks, before any work, that `write_blocks` could write such a file."""
  path = Path(path)
  if not path.parent.is_dir():
    raise AudioFileError(path, "the folder to write to does not exist")
  _create(path, io.BytesIO(), sample_rate, channels, subtype).close()


def _create(
  path: Path,
  place: bytes | io.BytesIO,
  sample_rate: int,
  channels: int,
  subtype: str | None,
) -> soundfile.SoundFile:
  suffix = path.suffix.lower()
  if suffix not in FORMATS:
    known = ", ".join(FORMATS)
    raise AudioFileError(path, f"unknown audio format; use one of {known}")
  if subtype is None and suffix == ".opus":
    subtype = "OPUS"
  try:
    return soundfile.SoundFile(
      place, "w", sample_rate, channels, subtype, format=FORMATS[suffix]
    )
  except (soundfile.LibsndfileError, ValueError):
    wanted = f"{channels} channels at {sample_rate} Hz, {subtype or 'default'}"
    raise AudioFileError(path, f"the format cannot hold {wanted}") from None


class Scratch(soundfile.SoundFile):
  """Audio kept on disk between two passes; see `scratch_file`."""

  def write(self, data: np.ndarray) -> None:
    """Appends `[time, channels]`."""
    with _disk_errors(Path(self.name)):
      super().write(data)

  def read_blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
    """Yields all that was written, in blocks of `frames`."""
    self.seek(0)
    dtype = "float64" if self.subtype == "DOUBLE" else "float32"
    return self.blocks(frames, dtype=dtype, always_2d=True)


@contextlib.contextmanager
def scratch_file(
  target: str | os.PathLike,
  sample_rate: int,
  channels: int,
  *,
  dtype: str = "float32",
) -> Iterator[Scratch]:
  """Opens a temporary file of `dtype` in the folder of the file `target`."""
  kind = {"float32": "FLOAT", "float64": "DOUBLE"}[dtype]
  folder = Path(target).parent
  with tempfile.NamedTemporaryFile(dir=folder, prefix=".scratch-") as file:
    layout = sample_rate, channels, kind, None, "W64"
    with Scratch(file.name, "w+", *layout) as scratch:
      yield scratch
