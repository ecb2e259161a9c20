"""Clipped pairs with declippers' estimates, stored, as they take long to make.

The stream of training pairs (crops, levels and augmentation of any clean data
sets) is clipped and declipped once; training cuts shorter crops out of it and
inverts half of them. All is in units of the rail. It is stored in parts of a
few pairs, so that work that is interrupted goes on, and raising
`config.data.clipped.minutes` adds parts to those that are there.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import safetensors
import safetensors.numpy

from distortion_removal import config as run_config
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import replacing
from distortion_removal.common.log import Progress
from distortion_removal.datasets import augmentation, opening, pairs
from distortion_removal.declipping.estimates import estimates
from distortion_removal.effects import tasks
from distortion_removal.effects.clipping import sdr_clip_threshold
from distortion_removal.effects.tasks import Task

_FOLDER = "clipped_pairs"
_PART = 16  # pairs, declipped together
_FULL_SCALE = 32767
_LEAST_CLIPPED = 1e-3  # share of the samples
# A crop with fewer is declipped so well that its gradient outweighs a batch's.
_LEAST_CLIPPED_IN_CROP = 0.01
_CROP_TRIES = 8
# What decides the pairs, next to the declippers and the seed.
_FIELDS = (
  "dataset",
  "sources",
  "sample_rate",
  "channels",
  "excerpt_seconds",
  "augment",
  "clipped",
)

Batch = dict[str, Any]


def rails(clean: np.ndarray, task: Task, levels: np.ndarray) -> np.ndarray:
  """Returns the rail of each item, on the scale of the clean audio.

  It is lower where less than a thousandth of the samples would be clipped.

  Args:
    clean: `[batch, time, channels]`.
    task: its effect is `hard_clip` or `hard_clip_sdr`.
    levels: `[batch]`.
  """
  if task.effect == "hard_clip":
    found = 10.0 ** (-np.asarray(levels, np.float64) / 20)
  else:
    found = np.asarray(sdr_clip_threshold(clean, levels), np.float64)
  most = np.quantile(np.abs(clean), 1 - _LEAST_CLIPPED, axis=(1, 2))
  found = np.minimum(found, most)
  return np.where(found > 0, found, 1.0)


def inputs(batch: Batch) -> jax.Array:
  """Returns what a hybrid is given: audio, signs and estimates as channels."""
  clean = batch["clean"]
  signs = jnp.where(jnp.abs(clean) >= 1, jnp.sign(clean), 0.0)
  audio = jnp.clip(clean, -1.0, 1.0)
  return jnp.concatenate([audio, signs, batch["estimates"]], -1)


class ClippedPairs(Sequence):
  """Stored pairs by index, each `samples` `[time, …]` int16 and its `scale`."""

  def __init__(self, parts: Sequence[Path], count: int):
    self._parts, self._count = tuple(parts), count

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    path, row = self._parts[index // _PART], index % _PART
    with safetensors.safe_open(path, "numpy") as file:
      return {key: file.get_slice(key)[row] for key in ("samples", "scale")}


def open_or_make(
  config: ml_collections.ConfigDict, dataset: Any
) -> tuple[ClippedPairs, Batch, list[str]]:
  """Opens a run's stored pairs; makes those that are missing.

  Args:
    config: the run's configuration.
    dataset: its data set, which is validated on.

  Returns:
    The training pairs; the validation pairs, as `inputs` takes them, and the
    name of each one's task and level.
  """
  options = config.data.clipped
  folder = Path(dataset.data_dir_root) / _FOLDER / _digest(config)
  folder.mkdir(parents=True, exist_ok=True)
  count = -(-round(60 * options.minutes / options.seconds) // _PART) * _PART
  parts = [folder / f"train_{i:05d}.safetensors" for i in range(count // _PART)]
  clean, names = _held_out(config, dataset)
  held_out = [
    folder / f"valid_{len(names)}_{i:02d}.safetensors"
    for i in range(-(-len(names) // _PART))
  ]
  cuts = range(_PART, len(clean), _PART)
  work = list(zip(held_out, np.split(clean, cuts), strict=True))
  work += [(path, i) for i, path in enumerate(parts)]
  _make_missing(config, dataset, work)
  held = ClippedPairs(held_out, len(names))
  decoded = [_decode(**held[i]) for i in range(len(names))]
  batch = {key: np.stack([x[key] for x in decoded]) for key in decoded[0]}
  return ClippedPairs(parts, count), batch, names


def training_batches(
  source: ClippedPairs,
  *,
  segment: int,
  batch_size: int,
  seed: int,
  workers: int = 0,
  start: int = 0,
) -> grain.DatasetIterator:
  """Makes endless batches of crops, see `pairs.training_batches`.

  Returns:
    Iterator of `clean` and `estimates`, `[devices, batch, time, …]`.
  """
  stream = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
  return pairs.batches(
    stream.random_map(_Crop(segment)),
    batch_size=batch_size,
    workers=workers,
    start=start,
  )


@dataclasses.dataclass(frozen=True)
class _Crop(grain.transforms.RandomMap):
  """Draws a crop with clipped samples, and inverts half of them."""

  segment: int

  def random_map(self, record: dict, rng: np.random.Generator) -> Batch:
    """Returns a crop, decoded."""
    samples, scale = record["samples"], record["scale"]
    rail = _FULL_SCALE / scale[0]
    for _ in range(_CROP_TRIES):
      start = rng.integers(len(samples) - self.segment + 1)
      piece = samples[start : start + self.segment]
      if np.mean(np.abs(piece[:, 0]) >= rail) >= _LEAST_CLIPPED_IN_CROP:
        break
    return _decode(piece, scale * np.float32(rng.choice((-1.0, 1.0))))


def _decode(samples: np.ndarray, scale: np.ndarray) -> Batch:
  """Returns the sides of a pair in units of the rail."""
  audio = samples * (scale / _FULL_SCALE)
  return {
    "clean": audio[:, :1],
    "estimates": audio[:, 1:],
    "level": np.float32(np.abs(scale[0])),
  }


def _encode(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns `[batch, time, …]` as int16, and scales `[batch, …]`."""
  scale = np.maximum(np.abs(audio).max(axis=1), 1e-9).astype(np.float32)
  samples = np.round(audio / scale[:, None] * _FULL_SCALE).astype(np.int16)
  return samples, scale


def _digest(config: ml_collections.ConfigDict) -> str:
  """Digests all that pairs depend on but their number."""
  data = run_config.to_dict(config.data)
  del data["clipped"]["minutes"]
  chosen = [data[key] for key in _FIELDS]
  declippers = run_config.to_dict(config.model.declippers)
  text = json.dumps([chosen, declippers, config.seed], sort_keys=True)
  return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _segment(config: ml_collections.ConfigDict) -> int:
  return round(config.data.clipped.seconds * config.data.sample_rate)


def _make_missing(
  config: ml_collections.ConfigDict,
  dataset: Any,
  work: Sequence[tuple[Path, int | np.ndarray]],
) -> None:
  """Stores this process's share of the parts that are not there.

  Args:
    config: the run's configuration.
    dataset: its data set.
    work: paths, with the clean sides or the number of a part of the stream.
  """
  rank, processes = devices.process()
  missing = [x for x in work[rank::processes] if not x[0].is_file()]
  draws = _draws(config, dataset) if missing else []
  with Progress(
    len(missing), "declipped %.0f %% of the pairs", unit="part", is_shown=True
  ) as progress:
    for path, clean in missing:
      if isinstance(clean, int):
        clean = np.stack(
          [
            draws[i % len(draws)][i // len(draws)]["clean"]
            for i in range(clean * _PART, (clean + 1) * _PART)
          ]
        )
      tensors = _with_estimates(clean, config)
      with replacing(path) as partial:
        safetensors.numpy.save_file(tensors, partial)
      progress.advance(1)
  devices.wait_for_all(f"pairs in {work[0][0].parent}")


def _with_estimates(
  clean: np.ndarray, config: ml_collections.ConfigDict
) -> dict[str, np.ndarray]:
  """Declips pairs in units of the rail, from what is stored of them."""
  samples, scale = _encode(clean)
  audio = np.clip(samples * (scale[:, None] / _FULL_SCALE), -1.0, 1.0)
  found = estimates(audio, np.ones(len(audio)), config.model.declippers)
  if not np.isfinite(found).all():
    raise UserError(
      "config.model.declippers: an estimate is not a number, and no batch may "
      "hold one; give other options"
    )
  more, scales = _encode(np.concatenate(list(found), -1))
  return {
    "samples": np.concatenate([samples, more], -1),
    "scale": np.concatenate([scale, scales], -1),
  }


@dataclasses.dataclass(frozen=True)
class _OnRails(grain.transforms.Map):
  """Scales the clean side of a pair to units of its rail."""

  task: Task

  def map(self, example: Batch) -> Batch:
    """Returns the clean side over its rail."""
    clean = example["clean"][None]
    rail = rails(clean, self.task, example["level"][None])
    return {"clean": np.float32(clean[0] / rail)}


def _draws(
  config: ml_collections.ConfigDict, dataset: Any
) -> list[grain.MapDataset]:
  """Returns a stream of clean sides for each task."""
  source = opening.training_source(config.data, dataset)
  options = augmentation.from_config(config.data)
  streams = []
  for k, (name, low, high) in enumerate(config.data.clipped.tasks):
    task = dataclasses.replace(tasks.get(name), evaluation_levels=(low, high))
    augmentation.check(options, task, config.data.channels)
    draw = pairs.DrawPair(task, _segment(config), options, source)
    stream = source.stream(config.seed + k).random_map(draw)
    streams.append(stream.map(_OnRails(task)))
  return streams


def _held_out(
  config: ml_collections.ConfigDict, dataset: Any
) -> tuple[np.ndarray, list[str]]:
  """Returns the clean sides to validate on, in units of the rail, and names."""
  source = opening.read_split(dataset, "valid")
  chosen = [tasks.get(name) for name, *_ in config.data.clipped.tasks]
  clean, names = [], []
  for task in chosen:
    batch = pairs.validation_batch(
      source,
      task,
      segment=_segment(config),
      pairs=config.validation_pairs // len(chosen),
    )
    rail = rails(batch["clean"], task, batch["level"])
    clean.append(batch["clean"] / rail[:, None, None].astype(np.float32))
    names += [f"{task.name}_{level:g}" for level in batch["level"]]
  return np.concatenate(clean), names
