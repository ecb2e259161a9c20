"""Methods under evaluation: networks, baselines and oracles behind one call.

A method is a function from degraded audio, and for an oracle the clean audio,
to an estimate of the clean audio; all `[batch, time, channels]` float32 NumPy
arrays.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import ml_collections
import numpy as np

from distortion_removal import models
from distortion_removal.audio import chunks
from distortion_removal.declipping.clip_level import find_exact_rails
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.inference import consistent
from distortion_removal.inference.network import chunking, load_network

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distorted(degraded: np.ndarray, _: np.ndarray) -> np.ndarray:
  """Returns the untouched input: the row every table starts with."""
  return degraded


def network(
  workdir: Path,
  config: ml_collections.ConfigDict,
  batch: int | None = None,
  task: tasks.Task | None = None,
) -> Method:
  """Makes a method of a run's network.

  Args:
    workdir: the run's folder.
    config: its configuration.
    batch: see `load_network`.
    task: the task that is evaluated; None: the run's.
  """
  if models.takes_rails(config):
    return _consistent(workdir, config, batch, task)
  function = load_network(workdir, config, batch)
  options = chunking(config)

  def method(degraded: np.ndarray, _: np.ndarray) -> np.ndarray:
    return chunks.apply_chunked(function, degraded, **options)

  return method


def _consistent(
  workdir: Path,
  config: ml_collections.ConfigDict,
  batch: int | None,
  task: tasks.Task | None,
) -> Method:
  restorer = consistent.load(workdir, config, batch)
  options = chunking(config)
  task = task or tasks.from_config(config.data)

  def method(degraded: np.ndarray, _: np.ndarray) -> np.ndarray:
    rails = find_exact_rails(degraded)
    restored = chunks.apply_chunked(
      functools.partial(restorer, rails=rails), degraded, **options
    )
    return baselines.at_clean_peak(restored, task)

  return method


def baseline(name: str, config: ml_collections.ConfigDict) -> Method:
  """Makes a method of a baseline; its options are `config`'s field `name`."""
  function = baselines.get(name).function
  options = dict(config.get(name, {}))
  options["task"] = tasks.from_config(config.data)
  options["sample_rate"] = config.data.sample_rate

  def method(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
    return np.asarray(function(degraded, clean, **options))

  return method
