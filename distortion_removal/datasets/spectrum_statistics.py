"""Statistics of a data set's degraded spectrograms, for each frequency bin.

Open-Unmix scales its input by them. They depend on the training split, the
task and the transform, not on a run: the first run that asks for them stores
them beside the records, as `spectrum_SIZE_HOP.json`, those of an effect with
options as `spectrum_SIZE_HOP_OPTIONS.json`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.audio.stft import stft
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening, pairs
from distortion_removal.effects.tasks import Task

if TYPE_CHECKING:
  from distortion_removal.datasets.sources.builder import CleanAudioBuilder


def open_unmix_transform(sample_rate: int) -> dict[str, int]:
  """Returns the size and hop of Open-Unmix: the paper's, or its package's."""
  if sample_rate <= 24_000:
    return {"size": 1024, "hop": 256}
  return {"size": 4096, "hop": 1024}


def spectrum_statistics(
  builder: "CleanAudioBuilder", *, size: int, hop: int, task: Task | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Computes mean and deviation of the training split's degraded magnitudes.

  Args:
    builder: a prepared data set's.
    size: the transform's size in samples.
    hop: the transform's hop in samples.
    task: the data set's own with options of its effect; None for no options.

  Returns:
    Two arrays `[size // 2 + 1]`, float32: over all frames of every excerpt,
    the channels' magnitudes averaged, degraded at a level drawn for it within
    the task's training levels, the same ones every time.
  """
  task = task or builder.builder_config.task
  words = filter(None, (f"spectrum_{size}_{hop}", task.options.suffix))
  path = Path(builder.data_dir) / f"{'_'.join(words)}.json"
  if not path.is_file():
    mean, deviation = _compute(builder, task, size, hop)
    values = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    write_whole(path, json.dumps(values) + "\n")
  stored = json.loads(path.read_text())
  return tuple(np.float32(stored[key]) for key in ("mean", "deviation"))


def mixture_statistics(
  sources: Sequence[tuple["CleanAudioBuilder", float]],
  *,
  size: int,
  hop: int,
  task: Task | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Computes `spectrum_statistics` of several data sets by their weights."""
  means, deviations = np.float64(
    [
      spectrum_statistics(builder, size=size, hop=hop, task=task)
      for builder, _ in sources
    ]
  ).swapaxes(0, 1)
  weights = [weight for _, weight in sources]
  mean = np.average(means, axis=0, weights=weights)
  variance = np.average(
    deviations**2 + (means - mean) ** 2, axis=0, weights=weights
  )
  return np.float32(mean), np.float32(np.sqrt(variance))


def _compute(
  builder: "CleanAudioBuilder", task: Task, size: int, hop: int
) -> tuple[np.ndarray, np.ndarray]:
  degrade = pairs.degrader(task)

  @jax.jit
  def sums(pair: dict[str, jax.Array], length: jax.Array) -> jax.Array:
    """Sums the magnitudes and their squares over an excerpt's frames."""
    degraded = degrade({key: value[None] for key, value in pair.items()})
    magnitude = jnp.abs(stft(degraded, size=size, hop=hop))[0].mean(0)
    inside = jnp.arange(len(magnitude)) <= length // hop
    magnitude *= inside[:, None]
    return jnp.stack([magnitude, magnitude**2]).sum(1)

  source = opening.read_split(builder, "train")
  total, count = np.zeros((2, size // 2 + 1)), 0
  for i in range(len(source)):
    if i and i % 1_000 == 0:
      logger.info("spectrum of excerpt %d of %d", i, len(source))
    record = source[i]
    sides = pairs.sides(record, task)
    length = len(sides["clean"])
    # Of one length, so that there is one program for all.
    spare = ((0, builder.builder_config.excerpt_frames - length), (0, 0))
    pair = {name: np.pad(side, spare) for name, side in sides.items()}
    level = np.random.default_rng(i).uniform(*task.train_levels)
    pair["level"] = np.float32(level)
    pair["seed"] = pairs.fixed_seed(record, 0)
    total += sums(pair, length)
    count += 1 + length // hop
  mean, square = total / count
  return mean, np.sqrt(np.maximum(square - mean**2, 0.0))
