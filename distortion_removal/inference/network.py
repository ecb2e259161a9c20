"""A trained network as a function of chunks of audio."""

import functools
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from flax import linen as nn

from distortion_removal import models
from distortion_removal.audio import chunks
from distortion_removal.common import devices
from distortion_removal.training import weights

# Tracing a network takes longer than it works on ten seconds.
_variable_shapes = functools.lru_cache(maxsize=8)(models.variable_shapes)
# Numbers of a recurrent kernel, a megabyte of them, from which on it pays to
# give a network so many items at a time.
_CACHED, _TOGETHER = 1 << 18, 4


def load_network(
  source: Path, config: ml_collections.ConfigDict, batch: int | None = None
) -> chunks.Function:
  """Loads a trained network as a jitted function of fixed-length chunks.

  Args:
    source: folder of a trained run, or a model file.
    config: that run's configuration, from `weights.load_config`.
    batch: number of chunks that go through the network at a time, spread over
      the local devices; None: all at once on one of them.
  """
  model = models.from_config(config)
  variables, _ = weights.load_weights(source, _variable_shapes(model))
  restore = functools.partial(_apply, model)
  if batch is not None:
    variables = devices.replicate(variables)
    function = functools.partial(restore, variables)
    return devices.in_batches(function, batch)
  variables = jax.device_put(variables)
  return lambda degraded: np.asarray(restore(variables, degraded))


# At the top: networks of one kind are compiled once, however often loaded.
@functools.partial(jax.jit, static_argnums=0)
def _apply(model: nn.Module, variables: Any, degraded: np.ndarray) -> jax.Array:
  return model.apply(variables, degraded)


def chunks_together(config: ml_collections.ConfigDict, groups: int) -> int:
  """Returns how many chunks a network gets at a time.

  A recurrent kernel that does not stay in the cache is read at every step,
  however many items take it: with four, UMX takes a sixth and Demucs 64/6 a
  quarter less time, and next to no more memory. Other networks gain nothing.

  Args:
    config: the run's configuration.
    groups: items of each chunk, of the recording's channels.
  """
  shapes = _variable_shapes(models.from_config(config))
  largest = max(
    (
      leaf.size
      for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
      if path[-1].key == "recurrent_kernel"
    ),
    default=0,
  )
  return max(1, _TOGETHER // groups) if largest >= _CACHED else 1


def chunking(
  config: ml_collections.ConfigDict, sample_rate: int | None = None
) -> dict[str, Any]:
  """Returns a run's keyword arguments of `chunks.apply_to_stream`.

  Args:
    config: the run's configuration.
    sample_rate: rate of the stream in Hz, if its chunks are resampled for the
      network; None: the network's.
  """
  model, own_rate = models.from_config(config), config.data.sample_rate
  rate = sample_rate or own_rate
  # Declippers, and resamplers, look further than the network.
  looks_further = rate != own_rate or models.takes_estimates(config)
  return {
    "chunk": round(config.apply.chunk_seconds * rate),
    "overlap": round(config.apply.overlap_seconds * rate),
    "hop": model.hop if rate == own_rate else 1,
    "context": None if looks_further else model.context,
  }
