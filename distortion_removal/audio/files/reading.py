"""Reads audio files of any length, in blocks."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.audio.files import integrity
from distortion_removal.audio.files.integrity import AudioFileError

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
