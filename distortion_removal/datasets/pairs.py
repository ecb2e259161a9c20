"""Pairs on the fly: what to degrade, by how much; the devices do the rest.

The input pipeline delivers clean crops and levels. The effect itself runs
jitted on the device, in training and in evaluation alike, so the host only
reads and copies. A crop and its level come from the record's own generator
(grain derives it from the seed and the record's position in the run), hence
batches do not depend on the number of workers, and a pipeline restored from
its state goes on exactly where it was.
"""

from collections.abc import Sequence

import grain
import jax
import numpy as np

from distortion_removal import parallel
from distortion_removal.datasets.tasks import Task
from distortion_removal.errors import UserError

_CROP_TRIES = 4
_SILENCE_RMS = 1e-3  # relative to the excerpt's peak: −60 dB


def scale_to_task(record: dict, task: Task) -> np.ndarray:
  """Scales a stored excerpt as the task's effect expects it.

  Excerpts are stored at a peak of 1 beside their original peak. The scale is
  that of the whole excerpt: a crop of the result may peak lower.

  Args:
    record: `clean` `[time, channels]` and the scalar `peak`.
    task: its `clean_peak` is the wanted peak; None keeps the original scale.

  Returns:
    `[time, channels]` float32.
  """
  peak = record["peak"] if task.clean_peak is None else task.clean_peak
  return np.asarray(record["clean"], np.float32) * np.float32(peak)


def crop(
  audio: np.ndarray, length: int, rng: np.random.Generator
) -> np.ndarray:
  """Takes a random crop, zero-padded at its end where the audio is shorter.

  A nearly silent crop teaches nothing, so a few more are drawn before one is
  accepted as it is.

  Args:
    audio: `[time, channels]`.
    length: of the crop, in samples.
    rng: the record's own generator.

  Returns:
    `[length, channels]`.
  """
  if len(audio) <= length:
    return np.pad(audio, ((0, length - len(audio)), (0, 0)))
  threshold = _SILENCE_RMS * np.abs(audio).max()
  for _ in range(_CROP_TRIES):
    start = rng.integers(len(audio) - length + 1)
    piece = audio[start : start + length]
    if np.sqrt(np.mean(np.square(piece))) > threshold:
      break
  return piece


class _DrawPair(grain.transforms.RandomMap):
  """Record → clean crop and level."""

  def __init__(self, task: Task, segment: int):
    self._task = task
    self._segment = segment

  def random_map(self, record: dict, rng: np.random.Generator) -> dict:
    clean = crop(scale_to_task(record, self._task), self._segment, rng)
    level = rng.uniform(*self._task.train_levels)
    return {"clean": clean, "level": np.float32(level)}


def training_batches(
  source: Sequence[dict],
  task: Task,
  *,
  segment: int,
  batch_size: int,
  seed: int,
  workers: int = 0,
) -> grain.DatasetIterator:
  """Endless training batches, already on the devices.

  Args:
    source: random-access records with `clean` and `peak`.
    task: what the levels are drawn for, uniformly within `train_levels`.
    segment: samples of a crop.
    batch_size: examples of a batch over all processes and devices.
    seed: of shuffling, crops and levels.
    workers: processes that load; 0 loads in threads of this one.

  Returns:
    Iterator of `clean` `[devices, batch, time, channels]` and `level`
    `[devices, batch]` float32, whose state can be saved and restored.

  Raises:
    UserError: there are fewer records than processes.
  """
  if len(source) < jax.process_count():
    raise UserError(
      f"{len(source)} training excerpts cannot feed {jax.process_count()} "
      "processes; use more audio or fewer processes"
    )
  dataset = grain.MapDataset.source(source).seed(seed)
  dataset = dataset[jax.process_index() :: jax.process_count()]
  dataset = dataset.shuffle().repeat()
  dataset = dataset.random_map(_DrawPair(task, segment))
  dataset = dataset.batch(parallel.local_batch_size(batch_size))
  dataset = dataset.map(parallel.split_batch)
  stream = dataset.to_iter_dataset(
    grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)
  )
  if workers:
    stream = stream.mp_prefetch(grain.MultiprocessingOptions(workers))
  # Unlike flax's prefetch, this one keeps the iterator's state exact.
  return iter(
    grain.experimental.device_put(
      stream,
      parallel.batch_sharding(),
      cpu_buffer_size=2,
      device_buffer_size=2,
    )
  )


def validation_batch(
  source: Sequence[dict], task: Task, *, segment: int, pairs: int
) -> dict[str, np.ndarray]:
  """A fixed set of validation crops, evenly over excerpts and levels.

  Pair `i` is an excerpt's middle at level `i mod levels`, so the set is the
  same for every run and every method.

  Args:
    source: random-access records with `clean` and `peak`.
    task: its `evaluation_levels` are used.
    segment: samples of a crop; shorter excerpts are zero-padded.
    pairs: how many.

  Returns:
    `clean` `[pairs, segment, channels]` and `level` `[pairs]` float32.
  """
  clean, levels = [], []
  for i in range(pairs):
    record = source[i * len(source) // pairs]
    audio = scale_to_task(record, task)
    start = max(0, (len(audio) - segment) // 2)
    piece = audio[start : start + segment]
    clean.append(np.pad(piece, ((0, segment - len(piece)), (0, 0))))
    levels.append(task.evaluation_levels[i % len(task.evaluation_levels)])
  return {"clean": np.stack(clean), "level": np.asarray(levels, np.float32)}


def record_name(record: dict) -> str:
  """The stored identity of an excerpt as text."""
  name = record["id"]
  return name.decode() if isinstance(name, bytes) else str(name)
