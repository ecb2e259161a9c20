"""Finds the frames of MPEG audio, the only measure of an MP3's length.

The count that a Xing, Info or VBRI tag may hold is missing after a pipe or in a
radio rip, and too small in joined files. A frame's own header gives its size
(ISO/IEC 11172-3, 2.4.2.3, and 13818-3), so that frame after frame is found
without decoding: those of three hours in a second.
"""

import itertools
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.audio.files.parts import Part, mapped
from distortion_removal.common.log import warn_once

_RATES_HZ = (44_100, 48_000, 32_000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by the header's version: MPEG 1, 2, "2.5"
_LAYERS = {3: 1, 2: 2, 1: 3}  # by the header's number
_LOW_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBPS = {  # by layer, and whether it is MPEG 1
  (1, True): tuple(range(32, 449, 32)),
  (2, True): (32, 48, 56, *_LOW_KBPS[7:12], 160, 192, 224, 256, 320, 384),
  (3, True): (*_LOW_KBPS[3:12], 160, 192, 224, 256, 320),
  (1, False): (32, 48, 56, *_LOW_KBPS[7:], 176, 192, 224, 256),
  (2, False): _LOW_KBPS,
  (3, False): _LOW_KBPS,
}
# A Xing or Info tag lies behind the header and the side information.
_XING_OFFSETS = (13, 21, 36)
_CRC_BYTES = 2
_VBRI_OFFSET = 36
_OTHER_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
# A rip starts and ends within a frame.
_SPLINTER_BYTES = 4096
# So many frames do not follow each other by accident.
_CHAIN = 3


class _Frame(NamedTuple):
  kind: tuple  # the same in all frames of a recording
  bytes: int
  samples: int  # per channel


class _Tag(NamedTuple):
  frames: int | None  # that are said to follow
  has_crc: bool


class _Run(NamedTuple):
  """Frames that follow each other without a gap."""

  start: int
  second: int  # start of the second frame
  end: int
  count: int
  frame_samples: int
  tag: _Tag | None  # in the first frame, which then has no music
  is_cut: bool  # the file ends within a further frame


def find_parts(path: Path, name: Path) -> list[Part]:
  """Returns the recordings in a file of MPEG audio; [] if there are none.

  `name` is what messages call the file.

  A recording whose tag counts its frames rightly is left to libsndfile, which
  takes the encoder's delay and padding off. Without the tag, all is music.

  Raises:
    AudioFileError: a tag says more frames than there are.
  """
  with mapped(path) as data:
    runs = list(_runs(data))
    _warn_of_gaps(name, data, runs)
  groups = []
  for run in runs:
    if run.tag or not groups:
      groups.append([])
    groups[-1].append(run)
  return [part for group in groups for part in _group_parts(name, group)]


def starts_with_frames(path: Path) -> bool:
  """Returns whether a file starts as a rip does: within a frame or with one."""
  with mapped(path) as data:
    return _next_frame(data, 0, _SPLINTER_BYTES) is not None


def _group_parts(name: Path, runs: Sequence[_Run]) -> list[Part]:
  """Returns the parts of a run, and of those that its tag may count as well."""
  first, *others = runs
  if first.tag is not None:
    count = sum(run.count for run in runs) - 1
    promised, has_crc = first.tag
    if promised is not None:
      # Some count the tag's own frame.
      if promised - count > (not runs[-1].is_cut):
        reason = f"truncated: {count} of {promised} MPEG frames are there"
        raise AudioFileError(name, reason)
      if promised == count and not others and not has_crc:
        return [Part(first.start, first.end)]
    first = first._replace(start=first.second, count=first.count - 1)
  return [
    Part(run.start, run.end, frames=run.count * run.frame_samples)
    for run in (first, *others)
    if run.count
  ]


def _warn_of_gaps(name: Path, data: mmap.mmap, runs: Sequence[_Run]) -> None:
  edges = [0, *itertools.chain(*((x.start, x.end) for x in runs)), len(data)]
  lost = [
    end - start
    for start, end in zip(edges[::2], edges[1::2], strict=True)
    if end - start > (0 if 0 < start < end < len(data) else _SPLINTER_BYTES)
    and not data[start : start + 11].startswith(_OTHER_TAGS)
  ]
  if runs and lost:
    warn_once(f"{name}: left out {sum(lost)} bytes that are no MPEG frames")


def _runs(data: mmap.mmap) -> Iterator[_Run]:
  tags = _tags(data)
  position = _next_frame(data, 0)
  while position is not None:
    start = second = position
    kind, _, frame_samples = _frame(data, start)
    for count in itertools.count():
      frame = _frame(data, position)
      is_next = frame is not None and frame.kind == kind
      if not is_next or position + frame.bytes > len(data):
        break
      if count and position in tags:
        break
      position += frame.bytes
      second = second if count else position
    is_cut = is_next and position + frame.bytes > len(data)
    tag = tags.get(start)
    yield _Run(start, second, position, count, frame_samples, tag, is_cut)
    position = _next_frame(data, position)


def _next_frame(data: mmap.mmap, start: int, limit: int = -1) -> int | None:
  """Finds the next frame that others follow, or the file's end."""
  if data[start : start + 3] == b"ID3":
    # Its pictures may look like frames. Seven bits of each byte of the size.
    size = 0
    for byte in data[start + 6 : start + 10]:
      size = size << 7 | byte
    start += 10 + size
    limit += start if limit >= 0 else 0
  stop = limit if limit >= 0 else len(data)
  while (start := data.find(b"\xff", start, stop)) >= 0:
    if _is_chain(data, start):
      return start
    start += 1
  return None


def _is_chain(data: mmap.mmap, start: int) -> bool:
  kinds = set()
  for count in range(_CHAIN):
    frame = _frame(data, start)
    if frame is None:
      return count > 0 and start == len(data)
    kinds.add(frame.kind)
    start += frame.bytes
    if len(kinds) > 1:
      return False
  return True


def _frame(data: mmap.mmap, start: int) -> _Frame | None:
  """Reads a frame's header."""
  head = data[start : start + 4]
  if len(head) < 4 or head[0] != 0xFF:
    return None
  # Without the bits that say "no CRC" and "private".
  size = _SIZES.get((head[1] & 0xFE, head[2] & 0xFE))
  if size is None:
    return None
  is_mono = head[3] >= 0xC0
  return _Frame((head[1] & 0xFE, head[2] & 0x0C, is_mono), *size)


def _sizes() -> dict[tuple[int, int], tuple[int, int]]:
  """Returns bytes and samples of a frame by its header's middle bytes."""
  sizes = {}
  for (version, divisor), (number, layer) in itertools.product(
    _RATE_DIVISORS.items(), _LAYERS.items()
  ):
    samples = {1: 384, 2: 1152, 3: 1152 if version == 3 else 576}[layer]
    slot_bytes = 4 if layer == 1 else 1
    for (i, kbps), (j, rate), padding in itertools.product(
      enumerate(_KBPS[layer, version == 3], 1), enumerate(_RATES_HZ), (0, 1)
    ):
      slots = samples * kbps * 125 // (rate // divisor * slot_bytes)
      first, second = 0xE0 | version << 3 | number << 1, i << 4 | j << 2
      sizes[first, second | padding << 1] = (
        (slots + padding) * slot_bytes,
        samples,
      )
  return sizes


_SIZES = _sizes()


def _tags(data: mmap.mmap) -> dict[int, _Tag]:
  """Finds the tags that count frames, by the start of the frame they are in."""
  tags = {}
  for name in (b"Xing", b"Info", b"VBRI"):
    place = data.find(name)
    while place >= 0:
      for start, has_crc in _frames_around(place, name):
        if start >= 0 and _frame(data, start):
          tags[start] = _Tag(_frame_count(data, place, name), has_crc)
      place = data.find(name, place + 1)
  return tags


def _frames_around(place: int, name: bytes) -> Iterator[tuple[int, bool]]:
  if name == b"VBRI":
    yield place - _VBRI_OFFSET, False
    return
  for offset in _XING_OFFSETS:
    yield place - offset, False
    yield place - offset - _CRC_BYTES, True


def _frame_count(data: mmap.mmap, place: int, name: bytes) -> int | None:
  if name == b"VBRI":
    return int.from_bytes(data[place + 14 : place + 18], "big")
  flags = data[place + 4 : place + 8]
  if len(flags) < 4 or not flags[3] & 1:
    return None
  return int.from_bytes(data[place + 8 : place + 12], "big") or None
