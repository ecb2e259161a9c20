"""The excerpts of a test split: identified, read and degraded."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import pairs
from distortion_removal.datasets.opening import Source
from distortion_removal.effects.tasks import Task
from distortion_removal.report.failures import reason


class Excerpt(NamedTuple):
  """One record of a split."""

  index: int  # in the split
  file: str  # the record's name
  digest: str  # of all that the record holds
  error: str | None = None  # one line if it cannot be read


class Audio(NamedTuple):
  """`[1, time, channels]` clean and `[levels, time, channels]` degraded."""

  clean: np.ndarray
  degraded: np.ndarray


def identify(source: Source, index: int) -> Excerpt:
  """Reads a record to identify it."""
  try:
    record = source[index]
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(record):
      value = np.asarray(record[key])
      digest.update(f"{key} {value.dtype} {value.shape}".encode())
      digest.update(np.ascontiguousarray(value).tobytes())
    return Excerpt(index, pairs.record_name(record), digest.hexdigest())
  except Exception as error:
    file = f"record {index}"
    logger.warning("%s cannot be read: %s", file, reason(error))
    return Excerpt(index, file, "", reason(error))


def at_all_levels(
  record: dict, task: Task, length: int
) -> dict[str, np.ndarray]:
  """Repeats a record for each evaluation level, as `pairs.degrader` takes it.

  The sides are filled up to `length` samples with zeros, which change nothing
  before them, nor the threshold of an SDR clip.

  Returns:
    The sides `[levels, length, channels]`, and `level` and `seed` `[levels]`.
  """
  levels = task.evaluation_levels
  batch = {}
  for name, side in pairs.sides(record, task).items():
    padded = np.pad(side, ((0, length - len(side)), (0, 0)))
    batch[name] = np.repeat(padded[None], len(levels), axis=0)
  batch["level"] = np.asarray(levels, np.float32)
  seeds = [pairs.fixed_seed(record, i) for i in range(len(levels))]
  batch["seed"] = np.stack(seeds)
  return batch


class Degrader:
  """Degrades at most `size` excerpts of at most `length` samples a call.

  Every call has the same static shape.
  """

  def __init__(self, source: Source, task: Task, length: int, size: int):
    self._source, self._task = source, task
    self._length, self._size = length, size
    self._degrade = jax.jit(pairs.degrader(task))

  def __call__(self, excerpts: Iterable[Excerpt]) -> dict[int, Audio | str]:
    """Degrades excerpts at every level; returns their audio by index.

    A record that cannot be used has one line instead; one that the task does
    not take raises UserError.
    """
    audio: dict[int, Audio | str] = {}
    lengths, batches = {}, []
    for excerpt in excerpts:
      if excerpt.error:
        audio[excerpt.index] = excerpt.error
        continue
      try:
        record = self._source[excerpt.index]
        batches.append(at_all_levels(record, self._task, self._length))
        lengths[excerpt.index] = len(record["clean"])
      except UserError:
        raise
      except Exception as error:
        audio[excerpt.index] = reason(error)
        logger.warning("%s cannot be used: %s", excerpt.file, reason(error))
    if not batches:
      return audio
    batches += batches[-1:] * (self._size - len(batches))
    whole = {
      name: np.concatenate([batch[name] for batch in batches])
      for name in batches[0]
    }
    degraded = np.split(np.asarray(self._degrade(whole)), self._size)
    for k, (index, length) in enumerate(lengths.items()):
      clean = batches[k]["clean"][:1, :length]
      audio[index] = Audio(clean, degraded[k][:, :length])
    return audio
