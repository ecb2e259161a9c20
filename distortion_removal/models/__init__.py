"""The networks, one paper a file, made by name: `create("demucs", depth=5)`.

Every network is a linen module that maps audio `[batch, time, channels]` to
audio of the same shape, float32, at any length.
"""

import dataclasses
import importlib
from typing import Any

import flax.linen as nn
import ml_collections

from distortion_removal.errors import UserError

# Module and class; the module is imported when the network is asked for.
_NETWORKS = {"demucs": "Demucs"}


def create(name: str, **fields: Any) -> nn.Module:
  """Makes the network `name`; `fields` override its class's defaults.

  Raises:
    UserError: there is no such network, or it has no such field.
  """
  if name not in _NETWORKS:
    raise UserError(f"no network {name!r}; choose from {sorted(_NETWORKS)}")
  module = importlib.import_module(f"{__name__}.{name}")
  network = getattr(module, _NETWORKS[name])
  known = {f.name for f in dataclasses.fields(network)} - {"parent", "name"}
  for field in fields.keys() - known:
    raise UserError(
      f"network {name!r} has no field {field!r}; choose from {sorted(known)}"
    )
  return network(**fields)


def from_config(config: ml_collections.ConfigDict) -> nn.Module:
  """Makes the network of a run, see configs/default.py."""
  return create(
    config.model.name,
    audio_channels=config.data.channels,
    dtype=config.compute_dtype,
    **config.model.fields,
  )
