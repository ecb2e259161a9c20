"""Methods under evaluation: one idea for networks, baselines and oracles.

A method is a function from degraded audio, and for an oracle the clean audio
beside it, to an estimate of the clean audio; all `[batch, time, channels]`
float32 NumPy arrays.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from distortion_removal import apply, checkpoint, models

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distorted(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
  """The untouched input: the row every table starts with."""
  del clean
  return degraded


def load_network(
  workdir: Path, config: ml_collections.ConfigDict
) -> tuple[apply.Function, int]:
  """Loads a trained network as a function of fixed-length chunks.

  Args:
    workdir: where training wrote.
    config: of that run.

  Returns:
    The network, jitted, `[batch, chunk, channels]` to the same shape, and the
    training step its weights are from.

  Raises:
    UserError: there are no weights, or they are another model's.
  """
  model = models.from_config(config)
  audio = jax.ShapeDtypeStruct(
    (1, chunk_length(config), config.data.channels), jnp.float32
  )
  shapes = jax.eval_shape(model.init, jax.random.key(0), audio)["params"]
  params, step = checkpoint.restore_weights(workdir, shapes)
  params = jax.device_put(params)

  @jax.jit
  def restore(params: Any, degraded: jax.Array) -> jax.Array:
    return model.apply({"params": params}, degraded)

  return lambda degraded: np.asarray(restore(params, degraded)), step


def chunk_length(config: ml_collections.ConfigDict) -> int:
  """Samples that the network sees at a time."""
  return round(config.apply.chunk_seconds * config.data.sample_rate)


def overlap_length(config: ml_collections.ConfigDict) -> int:
  """Samples of cross-fade between chunks."""
  return round(config.apply.overlap_seconds * config.data.sample_rate)


def network(workdir: Path, config: ml_collections.ConfigDict) -> Method:
  """The trained network of a run as a method for audio of any length."""
  function, _ = load_network(workdir, config)
  chunk, overlap = chunk_length(config), overlap_length(config)

  def method(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
    del clean
    return apply.apply_chunked(function, degraded, chunk=chunk, overlap=overlap)

  return method
