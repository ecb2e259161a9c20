"""The networks, one paper a file, made by name: `create("demucs", depth=5)`.

Every network is a linen module that maps audio `[batch, time, channels]` to
audio of the same shape, float32, at any length, with these beside it:

* `audio_channels` (1 for mono), `sample_rate` in Hz, and `dtype`, the type it
  computes in; parameters and audio are float32;
* `remat`: whether its blocks are computed again for the gradient, which then
  needs less memory, see `layers.block`;
* `valid_length(length)`: samples it works on inside, at least `length`;
* `hop`: moving the input by a multiple of these samples moves the output by as
  much;
* `context`: samples before and after an output sample that it depends on, or
  None if it depends on the whole recording. The second is the latency. Audio
  counts as zero beyond the recording, and the grid of hops starts with the
  first sample, so that chunks can be joined exactly.

Networks that are told where their audio is clipped also have `input_channels`:
they map more channels to `audio_channels`, see `consistency` and `hybrid`.
"""

import dataclasses
import importlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from distortion_removal.common import devices, errors
from distortion_removal.models.consistency import Consistent

# Module and class; the module is imported when its network is needed.
_NETWORKS = {
  "demucs": "Demucs",
  "wave_unet": "WaveUNet",
  "crafx": "CRAFx",
  "umx": "UMX",
  "hybrid": "Hybrid",
  "inverses": "Inverses",
  "correction": "Correction",
}


def create(name: str, **fields: Any) -> nn.Module:
  """Makes the network `name`; `fields` override its class's defaults."""
  class_name = errors.look_up(_NETWORKS, "network", name)
  network = getattr(importlib.import_module(f"{__name__}.{name}"), class_name)
  known = _fields(network)
  for field in fields.keys() - known:
    raise errors.UserError(
      f"network {name!r} has no field {field!r}; choose from {sorted(known)}"
    )
  return network(**fields)


def from_config(config: ml_collections.ConfigDict) -> nn.Module:
  """Makes the network that a run's configuration describes."""
  # Tuples are lists in a stored configuration, which have no hash, as what is
  # compiled for a network needs.
  fields = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in config.model.fields.items()
  }
  model = create(
    config.model.name,
    audio_channels=config.data.channels,
    sample_rate=config.data.sample_rate,
    dtype=config.compute_dtype,
    **fields,
  )
  is_told = hasattr(model, "input_channels")
  if config.model.get("consistent", False) and not is_told:
    return Consistent(model)
  return model


def takes_rails(config: ml_collections.ConfigDict) -> bool:
  """Checks whether a run's network is told where its audio is clipped."""
  return config.model.get("consistent", False) or takes_estimates(config)


def takes_estimates(config: ml_collections.ConfigDict) -> bool:
  """Checks whether a run's network is given declippers' estimates."""
  return "declippers" in config.model


def input_channels(model: nn.Module) -> int:
  """Returns the channels of what a network is given."""
  return getattr(model, "input_channels", model.audio_channels)


def for_training(model: nn.Module, *, remat: bool = False) -> nn.Module:
  """Makes a network to train on all devices.

  Args:
    model: a network. If it has batch statistics, the devices share them.
    remat: see the module.
  """
  if isinstance(model, Consistent):
    return model.clone(network=for_training(model.network, remat=remat))
  shared = {"axis_name": devices.AXIS} if "axis_name" in _fields(model) else {}
  return model.clone(remat=remat, **shared)


def variable_shapes(model: nn.Module) -> dict[str, Any]:
  """Returns a network's variables as a tree of `jax.ShapeDtypeStruct`."""
  audio = jax.ShapeDtypeStruct((1, 1, input_channels(model)), jnp.float32)
  return jax.eval_shape(model.init, jax.random.key(0), audio)


def _fields(network: nn.Module | type[nn.Module]) -> set[str]:
  return {f.name for f in dataclasses.fields(network)} - {"parent", "name"}
