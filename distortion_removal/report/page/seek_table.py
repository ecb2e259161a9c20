"""Seek tables, which let browsers seek in all of a FLAC file.

Chromium refuses ("demuxer seek failed") to go to the last second or so of a
file without a seek table, and libsndfile writes none. It also takes a file for
damaged if no frame follows the one it seeks to; a short last frame leaves
little that cannot be reached. Format: RFC 9639.
"""

import struct
from collections.abc import Iterator

_SYNC = b"\xff\xf8"  # of frames that all have the same size
_SEEK_TABLE = 3
_LAST = 0x80
# As libFLAC frames audio, unless it is told to be fast.
_FRAME_SAMPLES = 4096
_LAST_FRAME_SAMPLES = 16


def seekable_length(samples: int) -> int:
  """Returns the greatest length up to `samples` with a last frame of 16.

  Sounds shorter than a frame keep their length: they are played from the start.
  """
  frames = (samples - _LAST_FRAME_SAMPLES) // _FRAME_SAMPLES
  if frames < 1:
    return samples
  return frames * _FRAME_SAMPLES + _LAST_FRAME_SAMPLES


def with_seek_table(flac: bytes) -> bytes:
  """Adds a seek point for every frame but the last.

  Args:
    flac: a file without a seek table, whose frames have a fixed number of
      samples, as libFLAC writes them.
  """
  audio, is_last = 4, False  # where the metadata end
  while not is_last:
    is_last = bool(flac[audio] & _LAST)
    audio += 4 + int.from_bytes(flac[audio + 1 : audio + 4], "big")
  block_size = struct.unpack_from(">H", flac, 10)[0]
  samples = int.from_bytes(flac[18:26], "big") & (1 << 36) - 1
  offsets = list(_frame_offsets(flac, audio))
  if len(offsets) != -(-samples // block_size):
    raise ValueError("not a FLAC file of frames of a fixed size")
  # Not the last one: nobody should start to read there.
  table = b"".join(
    struct.pack(">QQH", i * block_size, offset - audio, block_size)
    for i, offset in enumerate(offsets[:-1])
  )
  block = bytes([_SEEK_TABLE]) + len(table).to_bytes(3, "big") + table
  # The stream's properties come first and have 34 bytes; they are no longer
  # the last of the metadata, if they were.
  head = b"fLaC" + bytes([flac[4] & ~_LAST]) + flac[5:42]
  if flac[4] & _LAST:
    block = bytes([block[0] | _LAST]) + block[1:]
  return head + block + flac[42:]


def _frame_offsets(flac: bytes, offset: int) -> Iterator[int]:
  """Yields where frames start: each header has its number and a checksum."""
  number = 0
  while (offset := flac.find(_SYNC, offset)) >= 0:
    if _is_header(flac, offset, number):
      yield offset
      number += 1
    offset += 1


def _is_header(flac: bytes, offset: int, number: int) -> bool:
  # Coded as UTF-8 would code a character, surrogates included.
  coded = chr(number).encode("utf-8", "surrogatepass")
  end = offset + 4 + len(coded)
  if flac[offset + 4 : end] != coded:
    return False
  size_code, rate_code = flac[offset + 2] >> 4, flac[offset + 2] & 15
  end += {6: 1, 7: 2}.get(size_code, 0)
  end += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
  return end < len(flac) and _crc8(flac[offset:end]) == flac[end]


def _crc8(data: bytes) -> int:
  value = 0
  for byte in data:
    value ^= byte
    for _ in range(8):
      value = (value << 1) ^ (0x107 if value & 0x80 else 0)
  return value
