"""Chunks of WAV, RF64 and AIFF files: what else they hold next to the samples.

A chunk is a name of four bytes, a size and a body, padded to even length. WAV
is little-endian, AIFF big-endian. RF64 (EBU Tech 3306) keeps sizes of more than
4 GiB in its `ds64` chunk.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from distortion_removal.audio.files import wav_header
from distortion_removal.audio.files.parts import mapped

_KINDS = {
  (b"RIFF", b"WAVE"): "WAV",
  (b"RF64", b"WAVE"): "RF64",
  (b"BW64", b"WAVE"): "RF64",
  (b"FORM", b"AIFF"): "AIFF",
  (b"FORM", b"AIFC"): "AIFF",
}
_LARGEST_SIZE = 0xFFFFFFFF
# Of the body of an extensible `fmt ` chunk: the mask of speakers, and what of
# the sub-format tells Ambisonics from speakers.
_MASK, _FLAVOUR = slice(20, 24), slice(26, 40)


class Chunk(NamedTuple):
  """A chunk's name, and where its body lies in the file, in bytes."""

  name: bytes
  start: int
  size: int


class Container(NamedTuple):
  """A file's kind ("WAV", "RF64" or "AIFF") and chunks, in order."""

  path: Path
  kind: str
  chunks: list[Chunk]

  def body(self, chunk: Chunk) -> bytes:
    """Reads a chunk."""
    with self.path.open("rb") as file:
      file.seek(chunk.start)
      return file.read(chunk.size)

  def layout(self) -> bytes | None:
    """Returns an extensible format's speakers, as `set_layout` takes them."""
    for chunk in self.chunks:
      if chunk.name == b"fmt ":
        body = self.body(chunk)
        if len(body) >= _FLAVOUR.stop and body[:2] == b"\xfe\xff":
          return body[_MASK] + body[_FLAVOUR]
    return None


def read_container(path: Path) -> Container | None:
  """Lists a file's chunks, as far as they are whole; None for other formats.

  Samples to the file's end that no header counts are no chunks.
  """
  with mapped(path) as content:
    is_open = bool(wav_header.mended(content))
  with path.open("rb") as file:
    form, size, kind = struct.unpack("<4sI4s", file.read(12).ljust(12))
    kind = _KINDS.get((form, kind))
    if kind is None:
      return None
    chunks, position = [], 12
    end, data_size = file.seek(0, os.SEEK_END), 0
    while position + 8 <= end:
      file.seek(position)
      header = file.read(8)
      name, size = struct.unpack(_order(kind) + "4sI", header)
      if name == b"ds64":
        _, data_size = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
      elif name == b"data" and kind == "RF64" and size == _LARGEST_SIZE:
        size = data_size
      if position + 8 + size > end or (name == b"data" and is_open):
        break
      chunks.append(Chunk(name, position + 8, size))
      position += 8 + size + size % 2
  return Container(path, kind, chunks)


def _order(kind: str) -> str:
  return ">" if kind == "AIFF" else "<"


def append(path: Path, kind: str, name: bytes, body: bytes) -> bool:
  """Adds a chunk at the end of a file of this kind.

  Returns:
    Whether there was room for it: WAV and AIFF end at 4 GiB.
  """
  order = _order(kind)
  with path.open("r+b") as file:
    end = file.seek(0, os.SEEK_END)
    padding = b"\0" * (end % 2)
    size = end + len(padding) + 8 + len(body) + len(body) % 2 - 8
    if kind != "RF64" and size > _LARGEST_SIZE:
      return False
    header = struct.pack(order + "4sI", name, len(body))
    file.write(padding + header + body + b"\0" * (len(body) % 2))
    # RF64: libsndfile puts `ds64` first, and in it the size of the file.
    file.seek(20 if kind == "RF64" else 4)
    file.write(struct.pack(order + ("Q" if kind == "RF64" else "I"), size))
  return True


def set_layout(path: Path, layout: bytes) -> None:
  """Sets the speakers in the header of a file in the extensible format.

  Args:
    path: the file.
    layout: four bytes of mask; then, unless it is the usual, the sub-format
      without the sample format.
  """
  container = read_container(path)
  start = next(c.start for c in container.chunks if c.name == b"fmt ")
  with path.open("r+b") as file:
    file.seek(start + _MASK.start)
    file.write(layout[:4])
    if flavour := layout[4:]:
      file.seek(start + _FLAVOUR.start)
      file.write(flavour)
