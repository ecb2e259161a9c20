"""Methods under evaluation: one idea for networks, baselines and oracles.

A method is a function from degraded audio, and for an oracle the clean audio
beside it, to an estimate of the clean audio; all `[batch, time, channels]`
float32 NumPy arrays.
"""

from collections.abc import Callable
from pathlib import Path

import ml_collections
import numpy as np

from distortion_removal import declipping
from distortion_removal.audio import chunks
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.inference import network as inference

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distorted(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
  """The untouched input: the row every table starts with."""
  del clean
  return degraded


def network(
  workdir: Path, config: ml_collections.ConfigDict, batch: int | None = None
) -> Method:
  """The trained network of a run as a method for audio of any length.

  Arguments and errors as of `load_network`.
  """
  function = inference.load_network(workdir, config, batch)
  options = inference.chunking(config)

  def method(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
    del clean
    return chunks.apply_chunked(function, degraded, **options)

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
  return 1 if name in declipping.DECLIPPERS else most
