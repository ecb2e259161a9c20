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

from distortion_removal.audio.files import arrays, extras, speakers
from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.audio.files.quantisation import (
  quantise_blocks,
  sample_bytes,
)
from distortion_removal.audio.files.reading import BLOCK_FRAMES, Reader
from distortion_removal.common.files import replacing
from distortion_removal.common.log import logger

FORMATS = {
  **{".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".w64": "W64"},
  **dict.fromkeys((".aif", ".aiff", ".aifc"), "AIFF"),
  **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
}


# What of samples goes into a WAV or AIFF file, whose sizes are 32-bit; the rest
# is for headers and tags.
LARGEST_BYTES = (1 << 32) - (1 << 20)


def write(
  path: str | os.PathLike,
  audio: np.ndarray,
  sample_rate: int,
  *,
  subtype: str | None = None,
) -> None:
  """Writes `[time, channels]` audio; see `write_blocks`."""
  frames, channels = audio.shape
  starts = range(0, frames, BLOCK_FRAMES)
  blocks = (audio[start : start + BLOCK_FRAMES] for start in starts)
  write_blocks(
    path, blocks, sample_rate, channels, subtype=subtype, frames=frames
  )


def write_blocks(
  path: str | os.PathLike,
  blocks: Iterable[np.ndarray],
  sample_rate: int,
  channels: int,
  *,
  subtype: str | None = None,
  frames: int = 0,
  dither: bool = False,
  source: Reader | None = None,
) -> None:
  """Writes consecutive blocks to an audio file, which is whole or not there.

  Args:
    path: the file; its suffix decides the format. A WAV file of more than 4 GiB
      is an RF64 file.
    blocks: `[time, channels]` float32 or float64.
    sample_rate: in Hz.
    channels: number of channels.
    subtype: libsndfile's name of the sample format ('PCM_24', 'FLOAT'); None
      takes the format's usual one. Integer formats round, and clip at ±1.
    frames: samples per channel to come, which may need the larger format.
    dither: adds triangular noise before rounding, see `quantise_blocks`.
    source: the recording the audio is made of, sample by sample. Its tags,
      chunks and channel layout are kept as far as the format allows; a warning
      names what is not.

  Raises:
    AudioFileError: the format is unknown or cannot hold this audio, the folder
      is missing, or a block holds NaN.
    OSError: the disk is full, or the folder cannot be written.
  """
  path = Path(path)
  check_format(path, sample_rate, channels, subtype, frames)
  if arrays.is_target(path):
    arrays.write(blocks, sample_rate, subtype)
    return
  layout = speakers.layout_of(source, source.file) if source else None
  with replacing(path) as partial:
    partial.touch()  # The system says why it cannot; libsndfile does not.
    # As bytes: any name is possible.
    place = os.fsencode(partial)
    with (
      _disk_errors(path),
      _create(
        path, place, sample_rate, channels, subtype, frames, layout
      ) as file,
    ):
      if source:
        blocks = _reordered(blocks, source, file)
      checked = _checked(blocks, path, file)
      for block in quantise_blocks(checked, file.subtype, dither=dither):
        file.write(block)
    if source:
      lost = extras.carry_over(source.file, partial, file.format, layout)
      if lost:
        names = ", ".join(dict.fromkeys(lost))
        logger.warning(
          "%s: not carried over from %s: %s", path, source.path, names
        )


def _reordered(
  blocks: Iterable[np.ndarray], source: Reader, file: soundfile.SoundFile
) -> Iterable[np.ndarray]:
  order = speakers.channel_order(source.format, file.format, file.channels)
  return blocks if order is None else (block[:, order] for block in blocks)


def _checked(
  blocks: Iterable[np.ndarray], path: Path, file: soundfile.SoundFile
) -> Iterator[np.ndarray]:
  """Yields the blocks; refuses what must not be written."""
  is_limited = file.format in ("WAV", "WAVEX", "AIFF")
  room = LARGEST_BYTES // (file.channels * sample_bytes(file.subtype))
  for block in blocks:
    if not np.isfinite(block).all():
      raise AudioFileError(path, "not written: NaN or infinite samples")
    room -= len(block)
    if is_limited and room < 0:
      raise AudioFileError(path, "not written: over 4 GiB, unannounced")
    yield block


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
  path: str | os.PathLike,
  sample_rate: int,
  channels: int,
  subtype: str | None,
  frames: int = 0,
) -> None:
  """Checks, before any work, that `write_blocks` could write such a file."""
  path = Path(path)
  if not path.parent.is_dir():
    raise AudioFileError(path, "the folder to write to does not exist")
  place = io.BytesIO()
  _create(path, place, sample_rate, channels, subtype, frames).close()


def usual_subtype(path: str | os.PathLike) -> str:
  """Returns the sample format that a file gets unless another is asked for."""
  suffix = Path(path).suffix.lower()
  if suffix not in FORMATS:
    known = ", ".join(FORMATS)
    raise AudioFileError(path, f"unknown audio format; use one of {known}")
  if suffix == ".opus":
    return "OPUS"
  return soundfile.default_subtype(FORMATS[suffix])


def _create(
  path: Path,
  place: bytes | io.BytesIO,
  sample_rate: int,
  channels: int,
  subtype: str | None,
  frames: int = 0,
  layout: bytes | None = None,
) -> soundfile.SoundFile:
  subtype = subtype or usual_subtype(path)
  format_ = FORMATS[path.suffix.lower()]
  is_large = frames * channels * sample_bytes(subtype) > LARGEST_BYTES
  if format_ == "WAV" and is_large and soundfile.check_format("RF64", subtype):
    format_ = "RF64"
  elif format_ in ("WAV", "AIFF") and is_large:
    raise AudioFileError(
      path,
      f"{format_} with {subtype} ends at 4 GiB, too early for {frames} samples "
      "of each channel; write .flac or .w64, or .wav in PCM or FLOAT",
    )
  elif format_ == "WAV" and layout and soundfile.check_format("WAVEX", subtype):
    format_ = "WAVEX"
  try:
    return soundfile.SoundFile(
      place, "w", sample_rate, channels, subtype, format=format_
    )
  except (soundfile.LibsndfileError, ValueError):
    wanted = f"{channels} channels at {sample_rate} Hz, {subtype}"
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
  """Opens a temporary file of `dtype` in the folder of the file `target`.

  For an array, see `arrays`, it lies where the system has temporary files.
  """
  kind = {"float32": "FLOAT", "float64": "DOUBLE"}[dtype]
  folder = None if arrays.is_target(Path(target)) else Path(target).parent
  with tempfile.NamedTemporaryFile(dir=folder, prefix=".scratch-") as file:
    layout = sample_rate, channels, kind, None, "W64"
    with Scratch(file.name, "w+", *layout) as scratch:
      yield scratch
