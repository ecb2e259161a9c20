"""The excerpts of a test split: read, told apart and degraded."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import pairs
from distortion_removal.datasets.opening import Source
from distortion_removal.effects.tasks import Task
from distortion_removal.report.failures import reason

# One method's estimates of a block, as many of them are alive at a time.
_BLOCK_BYTES = 1 << 27
_MOST_EXCERPTS = 8


class Excerpt(NamedTuple):
  """One record of a split.

  Attributes:
    index: in the split.
    file: its name.
    digest: of all that it holds.
    error: one line if it cannot be read.
  """

  index: int
  file: str
  digest: str
  error: str | None = None


class Audio(NamedTuple):
  """`[1, time, channels]` clean and `[levels, time, channels]` degraded."""

  clean: np.ndarray
  degraded: np.ndarray


def survey(source: Source) -> list[Excerpt]:
  """Reads every record once, to tell what there is."""
  return [_survey(source, index) for index in range(len(source))]


def _survey(source: Source, index: int) -> Excerpt:
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


def block_size(levels: int, length: int, channels: int) -> int:
  """How many excerpts, of so many samples at most, are worked on at a time."""
  fitting = _BLOCK_BYTES // (levels * length * channels * 4)
  return max(1, min(_MOST_EXCERPTS, fitting))


def blocks(excerpts: Sequence[Excerpt], size: int) -> list[Sequence[Excerpt]]:
  """Excerpts that follow each other, `size` at a time."""
  return [excerpts[i : i + size] for i in range(0, len(excerpts), size)]


class Degrader:
  """Degrades excerpts at every level, in calls of one static shape.

  Args:
    source: of the records.
    task: has the effect and the levels.
    length: of the longest excerpt, in samples.
    size: the most excerpts of a call.
  """

  def __init__(self, source: Source, task: Task, length: int, size: int):
    self._source, self._task = source, task
    self._length, self._size = length, size
    self._degrade = jax.jit(pairs.degrader(task))

  def __call__(self, excerpts: Iterable[Excerpt]) -> dict[int, Audio | str]:
    """Both sides of excerpts by index; a line of those that cannot be had.

    Raises:
      UserError: the records are not what the task takes.
    """
    found, examples = {}, {}
    for excerpt in excerpts:
      try:
        if excerpt.error:
          found[excerpt.index] = excerpt.error
          continue
        record = self._source[excerpt.index]
        examples[excerpt.index] = self._example(record)
      except UserError:
        raise
      except Exception as error:
        found[excerpt.index] = reason(error)
        logger.warning("%s cannot be used: %s", excerpt.file, reason(error))
    return found | self._degraded(examples)

  def _example(self, record: dict) -> dict[str, np.ndarray]:
    """The sides, level and seed of a record, `[levels, …]`; and its length."""
    sides = pairs.sides(record, self._task)
    length, levels = len(sides["clean"]), self._task.evaluation_levels
    # One static length for the effect: zeros at the end change nothing before
    # them, nor the threshold of an SDR clip.
    padding = ((0, self._length - length), (0, 0))
    example = {
      name: np.repeat(np.pad(side, padding)[None], len(levels), axis=0)
      for name, side in sides.items()
    }
    seeds = [pairs.fixed_seed(record, i) for i in range(len(levels))]
    example["level"] = np.asarray(levels, np.float32)
    example["seed"] = np.stack(seeds)
    return example | {"length": length}

  def _degraded(self, examples: dict[int, dict]) -> dict[int, Audio]:
    if not examples:
      return {}
    filled = [*examples.values()]
    filled += filled[-1:] * (self._size - len(filled))
    batch = {
      name: np.concatenate([example[name] for example in filled])
      for name in filled[0].keys() - {"length"}
    }
    degraded = np.asarray(self._degrade(batch))
    parts = np.split(degraded, self._size)
    return {
      index: Audio(
        example["clean"][:1, : example["length"]],
        part[:, : example["length"]],
      )
      for (index, example), part in zip(examples.items(), parts, strict=False)
    }
