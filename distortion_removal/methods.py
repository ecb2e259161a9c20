"""Methods under evaluation: one idea for networks, baselines and oracles.

A method is a function from degraded audio, and for an oracle the clean audio
beside it, to an estimate of the clean audio; all `[batch, time, channels]`
float32 NumPy arrays.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from distortion_removal import (
  apply,
  baselines,
  checkpoint,
  model_file,
  models,
  parallel,
)
from distortion_removal import config as run_config
from distortion_removal.datasets import tasks

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distorted(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
  """The untouched input: the row every table starts with."""
  del clean
  return degraded


def load_config(source: Path) -> ml_collections.ConfigDict:
  """The configuration of a run's folder or of a model file."""
  if source.suffix == model_file.SUFFIX:
    config, _ = model_file.load_card(source)
    return config
  return run_config.load(source)


def load_network(
  source: Path, config: ml_collections.ConfigDict, batch: int | None = None
) -> apply.Function:
  """Loads a trained network as a function of fixed-length chunks.

  Args:
    source: where training wrote, or a model file.
    config: of that run, from `load_config`.
    batch: if given, chunks go through the network so many at a time, spread
      over the local devices; else all at once on one of them.

  Returns:
    The network, jitted, `[batch, chunk, channels]` to the same shape.

  Raises:
    UserError: there are no weights, or they are another model's.
  """
  model = models.from_config(config)
  shapes = models.variable_shapes(model)
  if source.suffix == model_file.SUFFIX:
    variables = model_file.load_weights(source, shapes)
  else:
    variables, _ = checkpoint.restore_weights(source, shapes)
  restore = jax.jit(model.apply)
  if batch is not None:
    variables = parallel.replicate(variables)
    function = functools.partial(restore, variables)
    return parallel.in_batches(function, batch)
  variables = jax.device_put(variables)
  return lambda degraded: np.asarray(restore(variables, degraded))


def chunking(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """How a run's network is applied to long audio, see `apply`."""
  model = models.from_config(config)
  overlap = round(config.apply.overlap_seconds * config.data.sample_rate)
  return {
    "chunk": chunk_length(config),
    "overlap": overlap,
    "hop": model.hop,
    "context": model.context,
  }


def chunk_length(config: ml_collections.ConfigDict) -> int:
  """Samples that the network sees at a time."""
  return round(config.apply.chunk_seconds * config.data.sample_rate)


def network(
  workdir: Path, config: ml_collections.ConfigDict, batch: int | None = None
) -> Method:
  """The trained network of a run as a method for audio of any length.

  Arguments and errors as of `load_network`.
  """
  function = load_network(workdir, config, batch)
  options = chunking(config)

  def method(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
    del clean
    return apply.apply_chunked(function, degraded, **options)

  return method


def baseline(name: str, config: ml_collections.ConfigDict) -> Method:
  """A method without a network, by its name in `baselines`.

  Args:
    name: of the baseline.
    config: its field `name`, where it has one, holds the baseline's options.
  """
  function = baselines.get(name).function
  options = dict(config.get(name, {}))
  options["task"] = tasks.from_config(config.data)
  options["sample_rate"] = config.data.sample_rate

  def method(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
    return np.asarray(function(degraded, clean, **options))

  return method


def excerpts_at_a_time(name: str, most: int) -> int:
  """How many excerpts a method had better be given at a time.

  Those that take long get one, so that little is lost if they are stopped.

  Args:
    name: of the method.
    most: there are.
  """
  return 1 if name in baselines.DECLIPPERS else most
