"""Pairs on the fly: what to degrade, by how much; the devices do the rest.

The input pipeline delivers clean crops, levels and seeds, of recorded pairs the
degraded crops as well. An effect runs jitted on the device, in training and in
evaluation alike, so the host only reads and copies.

What is drawn for a record comes from its own generator (grain derives it from
the seed and the record's position in the run). Hence batches do not depend on
the number of workers, a pipeline restored from its state goes on exactly where
it was, and all processes together see what a single one would.
"""

import dataclasses
import os
import zlib
from collections.abc import Callable, Sequence

import grain
import jax
import numpy as np

from distortion_removal import effects
from distortion_removal.common import devices
from distortion_removal.common.files import as_text
from distortion_removal.datasets import augmentation
from distortion_removal.datasets.augmentation import Augmentation
from distortion_removal.datasets.mixing import Mixture
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task

RECORDED = "recorded"  # the effect of tasks whose pairs were recorded
_CROP_TRIES = 4
_SILENCE_RMS = 1e-3  # relative to the excerpt's peak: −60 dB


def degrader(task: Task) -> Callable[[dict[str, jax.Array]], jax.Array]:
  """Makes the function of a batch to its degraded side.

  The task's effect is applied to `clean` at `level` with `seed`; recorded pairs
  have their `degraded`.
  """
  if task.effect == RECORDED:
    return lambda batch: batch["degraded"]
  effect = tasks.effect_of(task)
  return lambda batch: effects.apply(
    effect, batch["clean"], batch["level"], batch["seed"]
  )


def sides(record: dict, task: Task) -> dict[str, np.ndarray]:
  """Returns the sides of a pair that are stored, scaled by one factor.

  Excerpts are stored at a peak of 1 beside their original peak. The whole one's
  peak becomes the task's `clean_peak`, and its original one if that is None.

  Returns:
    `clean` `[time, channels]` float32; for a task of recorded pairs `degraded`
    alike.
  """
  peak = record["peak"] if task.clean_peak is None else task.clean_peak
  pair = {"clean": np.asarray(record["clean"], np.float32) * np.float32(peak)}
  if task.effect == RECORDED:
    scale = record["degraded_peak"]
    if task.clean_peak is not None:
      scale = scale * (task.clean_peak / record["peak"])
    degraded = np.asarray(record["degraded"], np.float32)
    pair["degraded"] = degraded * np.float32(scale)
  return pair


def crop(
  audio: np.ndarray, length: int, rng: np.random.Generator
) -> np.ndarray:
  """Takes a random crop, zero-padded at its end where the audio is shorter.

  A nearly silent crop teaches nothing, so a few more are drawn before one is
  accepted as it is. Of `[time, channels]` it is `[length, channels]`.
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


@dataclasses.dataclass(frozen=True)
class DrawPair(grain.transforms.RandomMap):
  """Draws crops of the sides, a level and a seed from a record."""

  task: Task
  segment: int
  options: Augmentation
  takes: Mixture

  def random_map(self, record: dict, rng: np.random.Generator) -> dict:
    """Draws a pair, of the sum of two takes at times."""
    options = self.options
    if options.sums and rng.random() < options.sums:
      record = augmentation.add_take(record, self.takes.draw(rng), rng)
    whole = sides(record, self.task)
    speed = augmentation.speed_of(options, rng)
    gain, order = augmentation.factors(options, rng)
    audio = whole["clean"]
    if len(whole) > 1:  # Side by side, both are cut and resampled alike.
      audio = np.concatenate(list(whole.values()), axis=1)
    length = augmentation.source_length(self.segment, speed)
    piece = augmentation.play(crop(audio, length, rng), speed, self.segment)
    piece = augmentation.tilted(options, piece, rng)
    level = np.float32(rng.uniform(*self.task.train_levels))
    seed = rng.integers(1 << 32, dtype=np.uint32)
    parts = zip(whole, np.split(piece, len(whole), axis=1), strict=True)
    example = {name: gain * part[:, order] for name, part in parts}
    return example | {"level": level, "seed": seed}


def training_batches(
  source: Sequence[dict] | Mixture,
  task: Task,
  *,
  segment: int,
  batch_size: int,
  seed: int,
  workers: int = 0,
  options: Augmentation | None = None,
  start: int = 0,
) -> grain.DatasetIterator:
  """Makes endless training batches, already on the devices.

  Args:
    source: random-access records with `clean` and `peak`, or several such.
    task: levels are drawn uniformly within its `train_levels`.
    segment: samples of a crop.
    batch_size: examples of a batch over all processes and devices.
    seed: decides shuffling, crops, levels and all else.
    workers: processes that load; 0 loads in threads of this one.
    options: changes of the clean takes; None for none.
    start: batches of the stream to leave out, without loading them.

  Returns:
    Iterator of `clean` `[devices, batch, time, channels]` float32, `level`
    `[devices, batch]` float32, `seed` `[devices, batch]` uint32; for recorded
    pairs also `degraded`, shaped as `clean`. The batches of all processes are,
    together, those of one, and the same for any number of workers.
  """
  if not isinstance(source, Mixture):
    source = Mixture((source,), (1.0,))
  options = options or Augmentation()
  channels = source.sources[0][0]["clean"].shape[1]
  augmentation.check(options, task, channels)
  draw = DrawPair(task, segment, options, source)
  return batches(
    source.stream(seed).random_map(draw),
    batch_size=batch_size,
    workers=workers,
    start=start,
  )


def batches(
  dataset: grain.MapDataset, *, batch_size: int, workers: int, start: int
) -> grain.DatasetIterator:
  """Loads an endless stream of examples in batches, onto the devices.

  The arguments are those of `training_batches`.
  """
  dataset = dataset[jax.process_index() :: jax.process_count()]
  dataset = dataset.batch(devices.local_batch_size(batch_size))[start:]
  dataset = dataset.map(devices.split_batch)
  stream = dataset.to_iter_dataset(
    grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)
  )
  if workers:
    stream = stream.mp_prefetch(grain.MultiprocessingOptions(workers))
  return iter(
    grain.experimental.device_put(
      stream,
      devices.batch_sharding(),
      cpu_buffer_size=2,
      device_buffer_size=2,
    )
  )


def validation_batch(
  source: Sequence[dict], task: Task, *, segment: int, pairs: int
) -> dict[str, np.ndarray]:
  """Cuts a fixed set of validation crops, evenly over excerpts and levels.

  Pair `i` is an excerpt's middle at evaluation level `i mod levels`, or of
  evenly spread places of it where there are more pairs than that. So the set is
  the same for every run and every method. Shorter excerpts are zero-padded.

  Returns:
    `clean` `[pairs, segment, channels]` and `level` `[pairs]` float32, `seed`
    `[pairs]` uint32, and for recorded pairs `degraded`, shaped as `clean`.
  """
  levels = task.evaluation_levels
  examples = []
  numbers = [i * len(source) // pairs for i in range(pairs)]
  for i, number in enumerate(numbers):
    record = source[number]
    whole = sides(record, task)
    places = -(-numbers.count(number) // len(levels))
    place = (i - numbers.index(number)) // len(levels)
    spare = max(0, len(whole["clean"]) - segment)
    start = spare * (2 * place + 1) // (2 * places)
    example = {}
    for name, audio in whole.items():
      piece = audio[start : start + segment]
      example[name] = np.pad(piece, ((0, segment - len(piece)), (0, 0)))
    example["level"] = np.float32(levels[i % len(levels)])
    example["seed"] = fixed_seed(record, i % len(levels))
    examples.append(example)
  return {key: np.stack([e[key] for e in examples]) for key in examples[0]}


def fixed_seed(record: dict, level_index: int) -> np.uint32:
  """Returns a record's seed at an evaluation level, always the same."""
  return np.uint32(zlib.crc32(os.fsencode(record["id"]), level_index))


def record_name(record: dict) -> str:
  """Returns the name of an excerpt as text, whatever its recording's is."""
  return as_text(record["id"])
