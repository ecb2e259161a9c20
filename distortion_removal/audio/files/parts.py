"""Finds the recordings that lie in a file, one after the other.

Files are joined by `cat a.mp3 b.mp3`, and radio stations send Ogg in links.
libsndfile reads the first recording only, so each is opened as a file of its
own: a window on the bytes.
"""

import contextlib
import io
import mmap
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from distortion_removal.audio.files import wav_header

# Far more bytes than any file has; libsndfile counts samples in 63 bits.
_ENDLESS_BYTES = 1 << 40
_ID3V1_BYTES = 128  # a tag at the very end of an MP3
_FLAC = re.compile(rb"fLaC[\x00\x80]\0\0\x22")  # and a STREAMINFO's length
# The first page of a stream, up to the length of its table of segments.
_OGG_LINK = re.compile(rb"(?s)OggS\0[\x02\x03\x06\x07].{20}(.)")


class Part(NamedTuple):
  """A recording in a file.

  Attributes:
    start: byte at which it starts.
    end: byte before which it ends.
    head: what is read in place of its first bytes.
    frames: samples per channel; None: as libsndfile says.
  """

  start: int
  end: int
  head: bytes = b""
  frames: int | None = None


class Window(io.RawIOBase):
  """A part of a file as a file.

  libsndfile takes an estimate from its size for the length of an MP3 without a
  frame count, and reads no further. Where the part's `frames` are known the
  window therefore claims to be endless; what it holds ends all the same.
  """

  def __init__(self, path: Path, part: Part):
    self._file, self._part = path.open("rb"), part
    self._size, self._position = part.end - part.start, 0
    self._claimed = self._size
    if part.frames is not None:
      self._claimed += _ENDLESS_BYTES

  def close(self) -> None:
    """Closes the file, too."""
    self._file.close()
    super().close()

  def readable(self) -> bool:
    """Returns True."""
    return True

  def tell(self) -> int:
    """Returns the position in the part."""
    return self._position

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    """Moves to a position in the part, which may lie behind it."""
    origins = {os.SEEK_CUR: self._position, os.SEEK_END: self._claimed}
    self._position = origins.get(whence, 0) + offset
    return self._position

  def readinto(self, buffer: memoryview) -> int:
    """Fills the buffer as far as the part goes."""
    content = self._content(len(buffer))
    buffer[: len(content)] = content
    self._position += len(content)
    return len(content)

  def _content(self, size: int) -> bytes:
    head, position = self._part.head, self._position
    if position < len(head):
      return head[position : position + size]
    if self._size <= self._claimed - _ID3V1_BYTES <= position:
      # mpg123 insists on looking there for a tag before it starts.
      return bytes(min(size, self._claimed - position))
    self._file.seek(self._part.start + position)
    return self._file.read(max(0, min(size, self._size - position)))


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
  """Maps a file that is not empty, for a search of any length."""
  with (
    path.open("rb") as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    yield data


def find_parts(path: Path) -> list[Part]:
  """Returns a file's parts; see `mpeg` for those of an MP3."""
  with mapped(path) as data:
    if data[:4] == b"OggS":
      return _between(_ogg_links(data), len(data))
    if data[:4] == b"fLaC":
      return _between([x.start() for x in _FLAC.finditer(data)], len(data))
    return [Part(0, len(data), wav_header.mended(data))]


def _between(starts: Sequence[int], size: int) -> list[Part]:
  starts = starts or [0]
  ends = [*starts[1:], size]
  return [Part(start, end) for start, end in zip(starts, ends, strict=True)]


def _ogg_links(data: mmap.mmap) -> list[int]:
  """Returns where the links of a chain start (RFC 3533).

  Streams that sound at once, as those of a film, start page after page.
  """
  starts, behind = [], None
  for match in _OGG_LINK.finditer(data):
    start = match.start()
    if start != behind:
      starts.append(start)
    body = match.end() + match[1][0]
    behind = body + sum(data[match.end() : body])
  return starts
