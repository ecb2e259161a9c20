"""Writes audio files of any length, in blocks, whole or not at all."""

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

from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.audio.files.reading import BLOCK_FRAMES
from distortion_removal.common.files import replacing

FORMATS = {
  **{".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".w64": "W64"},
  **dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF"),
  **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
}


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
