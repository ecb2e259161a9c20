"""Notices audio files that were cut short.

libsndfile decodes what it finds and does not report what is missing. WAV, AIFF
and W64 show it in the sizes that libsndfile logs, Ogg in its last page, FLAC
and MP3 only when they are decoded.
"""

import os
import re
from pathlib import Path

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


def defect(file: soundfile.SoundFile, path: Path) -> str | None:
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
  if file.format == "OGG" and not _ends_stream(path):
    return "truncated: the last page is missing or cut"
  return None


def _ends_stream(path: Path) -> bool:
  """Returns whether the last Ogg page (RFC 3533) is whole and marked so."""
  with path.open("rb") as file:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _OGG_PAGE_BYTES))
    tail = file.read()
  page = tail[tail.rfind(b"OggS\0") :]
  if len(page) < _OGG_HEADER_BYTES:
    return False
  start = _OGG_HEADER_BYTES + page[26]
  is_last = bool(page[5] & 4)
  return is_last and len(page) >= start + sum(page[_OGG_HEADER_BYTES:start])
