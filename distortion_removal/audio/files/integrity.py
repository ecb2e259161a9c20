"""Notices audio files that were cut short.

libsndfile decodes what it finds and does not report what is missing. WAV, AIFF,
W64, CAF and AU show it in the sizes that libsndfile logs, Ogg in its last page,
MP3 in its frames (`mpeg`), FLAC only when it is decoded.
"""

import os
import re
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.common.errors import UserError

_SHORT_CHUNK = re.compile(
  r"^\s*(?:data|SSND|riff|Riff size|Data Size|BODY)\s*:\s*(\d+) "
  r"\(should be (\d+)\)",
  re.M,
)
NO_LAST_PAGE = "truncated: the last page is missing or cut"
# In either precision: the squares of larger ones overflow.
_LARGEST_SAMPLE = np.finfo(np.float32).max
_OGG_PAGE_BYTES = 65_307  # the largest page that the format allows
_OGG_HEADER_BYTES = 27  # without the segment table


class AudioFileError(UserError):
  """A file cannot be read or written; `reason` omits the file's name."""

  def __init__(self, path: str | os.PathLike, reason: str):
    super().__init__(f"{path}: {reason}")
    self.reason = reason


def check_samples(block: np.ndarray, path: Path) -> None:
  """Raises an error for samples that are no numbers, or no 32-bit floats."""
  if (np.abs(block) <= _LARGEST_SAMPLE).all():  # NaN is not.
    return
  reason = "holds NaN or infinite samples"
  if np.isfinite(block).all():
    reason = f"holds samples beyond {_LARGEST_SAMPLE:.2g}; scale them down"
  raise AudioFileError(path, reason)


def defect(file: soundfile.SoundFile, path: Path, end: int) -> str | None:
  """Returns what is missing according to the headers and the file's end.

  Args:
    file: a recording, as libsndfile reads it.
    path: the file it lies in.
    end: byte before which it ends there.
  """
  for promised, present in _SHORT_CHUNK.findall(file.extra_info):
    missing = int(promised) - int(present)
    if missing > 1:  # One byte is a forgotten pad byte.
      return f"truncated: {present} of {promised} bytes are there"
  if file.format == "OGG" and not ends_ogg_stream(path, end):
    return NO_LAST_PAGE
  return None


def ends_ogg_stream(path: Path, end: int) -> bool:
  """Returns whether the last Ogg page (RFC 3533) is whole and marked so."""
  with path.open("rb") as file:
    start = max(0, end - _OGG_PAGE_BYTES)
    file.seek(start)
    tail = file.read(end - start)
  page = tail[tail.rfind(b"OggS\0") :]
  if len(page) < _OGG_HEADER_BYTES:
    return False
  start = _OGG_HEADER_BYTES + page[26]
  is_last = bool(page[5] & 4)
  return is_last and len(page) >= start + sum(page[_OGG_HEADER_BYTES:start])
