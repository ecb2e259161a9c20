"""Lets arrays be recordings: what reads and writes files works on them, too."""

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Array(NamedTuple):
  """Audio `[time, channels]`, float32 or float64."""

  audio: np.ndarray
  sample_rate: int

  @property
  def subtype(self) -> str:
    """libsndfile's name of the sample format."""
    return "FLOAT" if self.audio.dtype == np.float32 else "DOUBLE"

  def blocks(self, frames: int, dtype: str) -> Iterator[np.ndarray]:
    """Yields copies of so many samples."""
    for start in range(0, len(self.audio), frames):
      yield self.audio[start : start + frames].astype(dtype)


_SOURCE, _TARGET = Path("audio"), Path("result.wav")
_arrays: ContextVar[dict[Path, Array] | None] = ContextVar(
  "_arrays", default=None
)


@contextlib.contextmanager
def as_files(
  audio: np.ndarray, sample_rate: int
) -> Iterator[tuple[Path, Path]]:
  """Lets an array be read, and another of its kind be written, within.

  Args:
    audio: `[time, channels]`, float32 or float64.
    sample_rate: in Hz.

  Yields:
    Names to read the array by, and to write one by, which `written` returns.
  """
  token = _arrays.set({_SOURCE: Array(audio, sample_rate)})
  try:
    yield _SOURCE, _TARGET
  finally:
    _arrays.reset(token)


def find(path: Path) -> Array | None:
  """Returns the array that a name stands for, None if it is a file's."""
  return (_arrays.get() or {}).get(path)


def is_target(path: Path) -> bool:
  """Tells whether what is written there becomes an array."""
  return _arrays.get() is not None and path == _TARGET


def write(blocks: Iterable[np.ndarray], sample_rate: int, subtype: str) -> None:
  """Keeps what would be written to the target as samples of that format."""
  dtype = {"FLOAT": np.float32, "DOUBLE": np.float64}[subtype]
  audio = np.concatenate([block.astype(dtype) for block in blocks])
  _arrays.get()[_TARGET] = Array(audio, sample_rate)


def written() -> np.ndarray:
  """Returns what was written to the target, `[time, channels]`."""
  return _arrays.get()[_TARGET].audio
