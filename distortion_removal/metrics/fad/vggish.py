"""VGGish, the network whose embeddings the Fréchet audio distance compares.

S. Hershey et al., "CNN Architectures for Large-Scale Audio Classification",
ICASSP 2017: configuration A of VGG with four stages of convolutions and an
embedding of 128; layers are named as in the published TensorFlow definition
(`research/audioset/vggish/vggish_slim.py` in tensorflow/models).

The weights are converted once, from the published PyTorch file to safetensors,
by `python -m third_party.import_vggish`.
"""

import functools
import os
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import traverse_util

from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.metrics.fad.log_mel import BANDS, PATCH_FRAMES

EMBEDDING = 128
_STAGES = (
  {"conv1": 64},
  {"conv2": 128},
  {"conv3_1": 256, "conv3_2": 256},
  {"conv4_1": 512, "conv4_2": 512},
)
# Patches per call, whatever the recordings' lengths: the quickest per patch on
# a CPU. With 2 to 8, jax 0.10 takes ten times as long.
_BATCH = 16
_COMMAND = "python -m third_party.import_vggish"


class VGGish(nn.Module):
  """Log-mel patches to embeddings, before the ReLU that some tools apply."""

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """Maps `[batch, 96, 64]` (frames, bands) to `[batch, 128]`."""
    # GPUs and TPUs would otherwise round the factors.
    exact = {"precision": jax.lax.Precision.HIGHEST}
    x = patches[..., None]
    for stage in _STAGES:
      for name, features in stage.items():
        x = nn.relu(nn.Conv(features, (3, 3), name=name, **exact)(x))
      x = nn.max_pool(x, (2, 2), strides=(2, 2))
    x = x.reshape(len(x), -1)
    for name in ("fc1_1", "fc1_2"):
      x = nn.relu(nn.Dense(4096, name=name, **exact)(x))
    return nn.Dense(EMBEDDING, name="fc2", **exact)(x)


_apply = jax.jit(VGGish().apply)


def embed_patches(variables: Any, patches: np.ndarray) -> np.ndarray:
  """Embeds `[windows, 96, 64]` float32 as `[windows, 128]`, before a ReLU."""
  count = len(patches)
  missing = -count % _BATCH
  padded = np.pad(patches, ((0, missing), (0, 0), (0, 0)))
  batches = padded.reshape(-1, _BATCH, *patches.shape[1:])
  variables = jax.device_put(variables)
  # All calls are dispatched before the first result is waited for.
  embeddings = [_apply(variables, batch) for batch in batches]
  none = np.zeros((0, EMBEDDING), np.float32)
  return np.concatenate([none, *map(np.asarray, embeddings)])[:count]


def variable_shapes() -> dict[str, Any]:
  """Returns the weights as `jax.ShapeDtypeStruct`, computing nothing."""
  patch = jnp.zeros((1, PATCH_FRAMES, BANDS))
  return jax.eval_shape(VGGish().init, jax.random.key(0), patch)


def default_weights_path() -> Path:
  """Returns `$VGGISH_WEIGHTS`, or else a file in the user's cache."""
  if os.environ.get("VGGISH_WEIGHTS"):
    return Path(os.environ["VGGISH_WEIGHTS"])
  cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
  return Path(cache) / "distortion_removal" / "vggish.safetensors"


def save_weights(path: Path, variables: Any) -> None:
  """Writes the weights, NumPy arrays, as one safetensors file."""
  flat = traverse_util.flatten_dict(variables, sep="/")
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  path.parent.mkdir(parents=True, exist_ok=True)
  write_whole(path, safetensors.numpy.save(arrays))


@functools.cache
def load_weights(path: Path) -> Any:
  """Reads a file of `save_weights` to the device, once in a process.

  Raises:
    UserError: the file is missing, damaged or of another network.
  """
  if not path.is_file():
    raise UserError(
      f"fad and fad_pytorch need VGGish's weights, and {path} does not exist; "
      f"run once, in the repository: {_COMMAND}"
    )
  try:
    flat = safetensors.numpy.load_file(path)
  except (safetensors.SafetensorError, AttributeError, TypeError) as error:
    raise UserError(f"{path}: damaged ({error}); {_COMMAND} mends it") from None
  expected = traverse_util.flatten_dict(variable_shapes(), sep="/")
  shapes = [{key: x.shape for key, x in y.items()} for y in (flat, expected)]
  if shapes[0] != shapes[1]:
    raise UserError(f"{path}: not VGGish's weights; {_COMMAND} mends it")
  return jax.device_put(traverse_util.unflatten_dict(flat, sep="/"))
