"""Reads audio files of any length, in blocks.

libsndfile reads most formats, each recording in a file on its own (`parts`);
ffmpeg, where it is installed, reads the others.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from distortion_removal.audio.files import (
  arrays,
  ffmpeg,
  integrity,
  mpeg,
  parts,
  pipes,
)
from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.audio.files.parts import Part, Window
from distortion_removal.common.log import warn_once

BLOCK_FRAMES = 1 << 16
_UNRECOGNISED = 1  # SF_ERR_UNRECOGNISED_FORMAT
_UNKNOWN_LENGTH = 1 << 60  # libsndfile says 2^63 - 1
_OPEN_LENGTH = (
  "its header leaves the length open, as after a loss of power or from a pipe; "
  "read to the end of the file"
)
_JOINED = "joined from recordings of different rates or channels"


class _Source(NamedTuple):
  """A file, and what changes when it does."""

  name: Path  # for messages
  path: Path  # another than the name for what comes from a pipe
  size: int
  mtime_ns: int


class _Facts(NamedTuple):
  """What a file's headers tell; in an MP3, those of all its frames."""

  sample_rate: int
  channels: int
  format: str
  subtype: str
  parts: tuple[Part, ...]  # none: ffmpeg reads it, or it is an array
  frames: int | None  # None: as many as decoding gives


# What decoding gave, where no header says it.
_counts: dict[_Source, int] = {}


class Reader:
  """An audio file open for reading once, front to back.

  Attributes:
    path: the file, or the pipe.
    file: the file, or that which holds what came from the pipe.
    sample_rate: in Hz.
    channels: number of channels.
    format: libsndfile's name of the format, or "ffmpeg".
    subtype: libsndfile's name of the sample format, or a codec's.
  """

  def __init__(self, source: _Source, array: arrays.Array | None = None):
    self._source, self._array = source, array
    self._facts = _array_facts(array) if array else _facts(source)
    self._opened = contextlib.ExitStack()
    self.path, self.file = source.name, source.path
    self.sample_rate, self.channels = self._facts[:2]
    self.format, self.subtype = self._facts.format, self._facts.subtype

  def __enter__(self) -> "Reader":
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def close(self) -> None:
    """Ends the reading; all but the samples stays readable."""
    self._opened.close()

  @property
  def frames(self) -> int:
    """Samples per channel, as many as `blocks` yields."""
    if self._facts.frames is not None:
      return self._facts.frames
    if self._source not in _counts:
      for _ in self._blocks(BLOCK_FRAMES, "float32"):
        pass
    return _counts[self._source]

  def blocks(
    self, frames: int = BLOCK_FRAMES, *, dtype: str = "float32"
  ) -> Iterator[np.ndarray]:
    """Yields the audio in blocks `[frames, channels]`, the last one shorter.

    So is the last one of each of several recordings joined into one file. A
    `dtype` of "float64" holds any sample format exactly.
    """
    blocks = self._blocks(frames, dtype)
    self._opened.callback(blocks.close)
    return blocks

  def _blocks(self, frames: int, dtype: str) -> Iterator[np.ndarray]:
    path, name = self._source.path, self.path
    if self._array:
      blocks = self._array.blocks(frames, dtype)
    elif self._facts.parts:
      blocks = _decode(self._source, self._facts, frames, dtype)
    else:
      blocks = ffmpeg.decode(path, name, frames, dtype)
    count = 0
    with contextlib.closing(blocks):
      for block in blocks:
        integrity.check_samples(block, name)
        count += len(block)
        yield block
    if not count:
      raise AudioFileError(name, "holds no samples")
    if self._facts.frames is None:
      _counts[self._source] = count


class _Stream(soundfile.SoundFile):
  """What libsndfile reads, front to back."""

  def seekable(self) -> bool:
    """Returns False, for soundfile would seek to where it is after each block.

    That makes libsndfile's MP3 decoder drop the bits it carries over: errors up
    to full scale at every block.
    """
    return False


@contextlib.contextmanager
def _opened(source: _Source, part: Part) -> Iterator[_Stream]:
  if part == Part(0, source.size):
    # As bytes: any name is possible.
    with _Stream(os.fsencode(source.path)) as stream:
      yield stream
    return
  with Window(source.path, part) as window, _Stream(window) as stream:
    yield stream


def _decode(
  source: _Source, facts: _Facts, frames: int, dtype: str
) -> Iterator[np.ndarray]:
  """Yields the samples of a file's parts."""
  position = 0
  for part in facts.parts:
    with _opened(source, part) as stream:
      missing = part.frames or _length(stream)
      while missing is None or missing > 0:
        is_damaged = False
        # Room for no more than there is: a few bytes may claim 1024 channels.
        size = frames if missing is None else min(frames, missing)
        try:
          block = stream.read(size, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError:
          block, is_damaged = (), True
        if missing is None and not len(block) and not is_damaged:
          break
        if not len(block):
          reason = f"truncated or damaged: decoding stops at frame {position}"
          reason += f" of {facts.frames}" if facts.frames else ""
          raise AudioFileError(source.name, reason)
        position += len(block)
        missing = None if missing is None else missing - len(block)
        yield block


def _length(stream: _Stream) -> int | None:
  """Returns the samples per channel as libsndfile says, unless it cannot."""
  return stream.frames if stream.frames < _UNKNOWN_LENGTH else None


def _array_facts(array: arrays.Array) -> _Facts:
  frames, channels = array.audio.shape
  return _Facts(array.sample_rate, channels, "WAV", array.subtype, (), frames)


@functools.lru_cache(maxsize=256)
def _facts(source: _Source) -> _Facts:
  """Finds out how a file is to be read."""
  try:
    facts, reason = _libsndfile_facts(source), _JOINED
  except (soundfile.LibsndfileError, TypeError) as error:
    # TypeError: .raw files have no header.
    facts, reason = None, "truncated or damaged header"
    if getattr(error, "code", _UNRECOGNISED) == _UNRECOGNISED:
      reason = "not audio in a known format"
  return facts or _ffmpeg_facts(source, reason)


def _libsndfile_facts(source: _Source) -> _Facts | None:
  """Returns None for recordings that only resampling would join."""
  path, name = source.path, source.name
  found = parts.find_parts(path)
  if found[0].head:
    warn_once(f"{name}: {_OPEN_LENGTH}")
  if _is_mpeg(source, found[0]):
    found = mpeg.find_parts(path, name) or found
  kinds, total = set(), 0
  for part in found:
    with _opened(source, part) as stream:
      if part.frames is None and (
        reason := integrity.defect(stream, path, part.end)
      ):
        raise AudioFileError(name, reason)
      kinds.add((stream.samplerate, stream.channels))
      formats = stream.format, stream.subtype
      length = part.frames or _length(stream)
      total = None if None in (total, length) else total + length
  if total == 0:
    raise AudioFileError(name, "holds no samples")
  if len(kinds) > 1:
    return None
  return _Facts(*kinds.pop(), *formats, tuple(found), total)


def _is_mpeg(source: _Source, part: Part) -> bool:
  # By its frames, where it may be: libsndfile knows a rip that starts within a
  # frame only by its suffix, and mpg123 complains on stderr of joined files.
  with source.path.open("rb") as file:
    may_be = file.read(3).startswith((b"ID3", b"\xff"))
  if may_be and mpeg.starts_with_frames(source.path):
    return True
  try:
    with _opened(source, part) as stream:
      return stream.subtype.startswith("MPEG_LAYER")
  except soundfile.LibsndfileError:
    if mpeg.starts_with_frames(source.path):
      return True
    raise


def _ffmpeg_facts(source: _Source, reason: str) -> _Facts:
  """Asks ffmpeg about a file that libsndfile does not read, for a `reason`."""
  path, name = source.path, source.name
  if not ffmpeg.is_there():
    raise AudioFileError(
      name,
      f"{reason}; ffmpeg, which reads more (M4A, WMA, WebM, ...), is not "
      "installed: install it, or convert the file to WAV",
    )
  try:
    found = ffmpeg.examine(path, name)
  except AudioFileError as error:
    reasons = filter(None, (reason, error.reason))
    raise AudioFileError(name, "; ".join(reasons)) from None
  with path.open("rb") as file:
    is_ogg = file.read(4) == b"OggS"
  if is_ogg and not integrity.ends_ogg_stream(path, source.size):
    raise AudioFileError(name, integrity.NO_LAST_PAGE)
  if reason == _JOINED:
    warn_once(f"{name}: {reason}; ffmpeg gives all of them those of the first")
  rate, channels, subtype = found
  return _Facts(rate, channels, "ffmpeg", subtype, parts=(), frames=None)


def open_reader(path: str | os.PathLike) -> Reader:
  """Opens an audio file of any format.

  Or a pipe while `pipes.spooling`, or an array within `arrays.as_files`.
  """
  name = Path(path)
  if array := arrays.find(name):
    return Reader(_Source(name, name, 0, 0), array)
  path = pipes.seekable_file(name)
  status = path.stat()
  if not status.st_size:
    raise AudioFileError(name, "empty file")
  return Reader(_Source(name, path, status.st_size, status.st_mtime_ns))


def info(path: str | os.PathLike) -> Reader:
  """Reads the header, and returns a closed reader."""
  with open_reader(path) as reader:
    return reader


def read(path: str | os.PathLike) -> tuple[np.ndarray, int]:
  """Reads a file: `[time, channels]` float32 and the sample rate in Hz."""
  with open_reader(path) as reader:
    return np.concatenate(list(reader.blocks())), reader.sample_rate
