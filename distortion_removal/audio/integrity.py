"""Opens audio files, and refuses those that were cut short.

libsndfile decodes what it finds and does not report what is missing. WAV, AIFF
and W64 show it in the sizes that libsndfile logs, Ogg in its last page, FLAC
and MP3 only when they are decoded.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO

import soundfile

from distortion_removal.common.errors import UserError

_SHORT_CHUNK = re.compile(
  r"^\s*(?:data|SSND|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.M
)
_OGG_PAGE_BYTES = 65_307  # the largest page that the format allows
_OGG_HEADER_BYTES = 27  # without the segment table


class AudioFileError(UserError):
  """A file cannot be read or written; `reason` omits the file's name."""

  def __init__(self, path: str | os.PathLike, reason: str):
    super().__init__(f"{path}: {reason}")
    self.reason = reason


class _Stream(soundfile.SoundFile):
  """A file read front to back."""

  def seekable(self) -> bool:
    # After each block, soundfile would seek to where it already is. That makes
    # libsndfile's MP3 decoder drop the bits it carries over: errors up to full
    # scale at every block.
    return False


def open_whole(path: Path) -> soundfile.SoundFile:
  """Opens an audio file for reading, front to back.

  Raises:
    AudioFileError: it is missing, empty, not audio, without samples, or cut
      short according to its headers.
  """
  try:
    with path.open("rb") as raw:
      tail = _tail(raw)
  except OSError as error:
    raise AudioFileError(path, error.strerror.lower()) from None
  if not tail:
    raise AudioFileError(path, "empty file")
  try:
    file = _Stream(os.fsencode(path))  # as bytes: any name is possible
  except (soundfile.LibsndfileError, TypeError) as error:
    # 1: SF_ERR_UNRECOGNISED_FORMAT. TypeError: .raw files have no header.
    reason = "truncated or damaged header"
    if getattr(error, "code", 1) == 1:
      reason = "not audio in a known format"
    raise AudioFileError(path, reason) from None
  if reason := _defect(file, tail):
    file.close()
    raise AudioFileError(path, reason)
  return file


def _tail(file: BinaryIO) -> bytes:
  size = file.seek(0, os.SEEK_END)
  file.seek(max(0, size - _OGG_PAGE_BYTES))
  return file.read()


def _defect(file: soundfile.SoundFile, tail: bytes) -> str | None:
  """Returns what is missing according to the headers and the file's end."""
  if not file.frames:
    return "holds no samples"
  for promised, present in _SHORT_CHUNK.findall(file.extra_info):
    missing = int(promised) - int(present)
    # One byte is a forgotten pad byte. Tools that write to a pipe cannot know
    # the length and promise about 2 or 4 GiB.
    is_piped = int(promised) >> 12 in (0x7FFFF, 0x80000, 0xFFFFF)
    if missing > 1 and not is_piped:
      return f"truncated: {present} of {promised} bytes are there"
  if file.format == "OGG" and not _ends_stream(tail[tail.rfind(b"OggS\0") :]):
    return "truncated: the last page is missing or cut"
  return None


def _ends_stream(page: bytes) -> bool:
  """Returns whether an Ogg page (RFC 3533) is whole and marked as the last."""
  if len(page) < _OGG_HEADER_BYTES:
    return False
  start = _OGG_HEADER_BYTES + page[26]
  is_last = bool(page[5] & 4)
  return is_last and len(page) >= start + sum(page[_OGG_HEADER_BYTES:start])
