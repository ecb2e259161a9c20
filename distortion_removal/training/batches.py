"""Opens what a run trains and validates on, drawn on the fly or stored."""

from collections.abc import Iterator
from typing import Any

import ml_collections
import numpy as np

from distortion_removal import models
from distortion_removal.datasets import (
  augmentation,
  clipped_pairs,
  opening,
  pairs,
)
from distortion_removal.effects import tasks
from distortion_removal.training import steps


def open_batches(
  config: ml_collections.ConfigDict, dataset: Any, done: int
) -> tuple[Iterator[steps.Batch], dict[str, np.ndarray], list[str]]:
  """Opens the training batches after `done` steps, and the validation pairs.

  Returns:
    The batches; the pairs, and labels of pairs whose scores are also told
    apart, or none.
  """
  open_ = _stored if models.takes_estimates(config) else _drawn
  return open_(config, dataset, done)


def _drawn(
  config: ml_collections.ConfigDict, dataset: Any, done: int
) -> tuple[Iterator[steps.Batch], dict[str, np.ndarray], list[str]]:
  """Opens batches that are degraded on the device, see `pairs`."""
  task = tasks.from_config(config.data)
  segment = round(config.data.segment_seconds * config.data.sample_rate)
  batches = pairs.training_batches(
    opening.training_source(config.data, dataset),
    task,
    segment=segment,
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
    options=augmentation.from_config(config.data),
    start=done,
  )
  held_out = pairs.validation_batch(
    opening.read_split(dataset, "valid"),
    task,
    segment=segment,
    pairs=config.validation_pairs,
  )
  return batches, held_out, []


def _stored(
  config: ml_collections.ConfigDict, dataset: Any, done: int
) -> tuple[Iterator[steps.Batch], dict[str, np.ndarray], list[str]]:
  """Opens batches of stored pairs, which are made if need be."""
  stored, held_out, labels = clipped_pairs.open_or_make(config, dataset)
  batches = clipped_pairs.training_batches(
    stored,
    segment=round(config.data.segment_seconds * config.data.sample_rate),
    batch_size=config.batch_size,
    seed=config.seed,
    workers=config.data.workers,
    start=done,
  )
  return batches, held_out, labels
