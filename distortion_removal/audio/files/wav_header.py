"""Mends headers of WAV files whose writer never came back to them.

A recorder fills in the sizes at the end of a take, unless it loses its power;
a program that writes to a pipe cannot. What stands there is 0, or all bits set,
or nearly so.
"""

import mmap
import struct
from collections.abc import Iterator

_KINDS = (b"RIFF", b"RF64", b"BW64")
_DS64_DATA_BYTES = 8  # before the data's size in a ds64 chunk
_LONGEST = 1 << 62
# Sizes in units of 4 KiB that those write who cannot know: nearly 2 or 4 GiB.
_USUAL = (0x7FFFF, 0x80000, 0xFFFFF)


def mended(data: mmap.mmap) -> bytes:
  """Returns the header with which all that follows it is read.

  It is the one that libsndfile takes for a file that was not closed: RIFF with
  a size of 8 and no data. b"" where the sizes are to be believed: those of
  files that were cut later, and those that leave other chunks out.
  """
  if data[:4] not in _KINDS or data[8:12] != b"WAVE":
    return b""
  chunks = {}
  for name, start, size in _chunks(data, 12):
    chunks[name] = start, size
    if name == b"data":
      break
  else:
    return b""
  if size == 0xFFFFFFFF and b"ds64" in chunks:
    place = chunks[b"ds64"][0] + _DS64_DATA_BYTES
    size = int.from_bytes(data[place : place + 8], "little")
  if not _is_placeholder(data, start, size):
    return b""
  head = data[8 : start - 4].replace(b"ds64", b"JUNK")
  return b"RIFF" + struct.pack("<I", 8) + head + bytes(4)


def _is_placeholder(data: mmap.mmap, start: int, size: int) -> bool:
  present = len(data) - start
  is_usual = size >> 12 in _USUAL or size >= _LONGEST
  if size > present:
    return is_usual
  if size == 0 or is_usual:
    return size < present and not _are_chunks(data, start + size)
  # A count of 32 bits that ran over.
  return size < present and (present - size) % 2**32 == 0


def _are_chunks(data: mmap.mmap, start: int) -> bool:
  """Returns whether nothing but chunks follows, to the file's end."""
  end = start
  for name, begin, size in _chunks(data, start):
    if not all(32 <= byte < 127 for byte in name):
      return False
    end = begin + size
  return end <= len(data) <= end + 1


def _chunks(data: mmap.mmap, start: int) -> Iterator[tuple[bytes, int, int]]:
  """Yields the name, start and size of each chunk, as the headers say."""
  while start + 8 <= len(data):
    name, size = struct.unpack_from("<4sI", data, start)
    yield name, start + 8, size
    start += 8 + size + size % 2
