"""VGGish, the network whose embeddings the Fréchet audio distance compares.

S. Hershey et al., "CNN Architectures for Large-Scale Audio Classification",
ICASSP 2017: configuration A of VGG with four stages of convolutions and an
embedding of 128; layers are named as in the published TensorFlow definition
(`research/audioset/vggish/vggish_slim.py` in tensorflow/models).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.metrics.log_mel import BANDS, PATCH_FRAMES

EMBEDDING = 128
_STAGES = (
  {"conv1": 64},
  {"conv2": 128},
  {"conv3_1": 256, "conv3_2": 256},
  {"conv4_1": 512, "conv4_2": 512},
)
# Patches of one call, whatever the recordings' lengths. On a CPU the quickest
# per patch: with 2 to 8, jax 0.10 takes ten times as long.
_BATCH = 16


class VGGish(nn.Module):
  """Log-mel patches to embeddings before their ReLU.

  Whether that last ReLU is applied is what the definitions in use differ in.
  """

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


def variable_shapes() -> dict[str, Any]:
  """The network's variables as `jax.ShapeDtypeStruct`, nothing computed."""
  patch = jnp.zeros((1, PATCH_FRAMES, BANDS))
  return jax.eval_shape(VGGish().init, jax.random.key(0), patch)


def random_variables(seed: int) -> dict[str, Any]:
  """Variables of the right size for tests and benchmarks; no metric has them.

  Returns:
    NumPy arrays: normal kernels of variance 2 / fan-in (He et al., 2015) and
    biases of deviation 0.1.
  """
  rng = np.random.default_rng(seed)

  def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    fan_in = np.prod(leaf.shape[:-1])
    deviation = np.sqrt(2.0 / fan_in) if leaf.ndim > 1 else 0.1
    values = rng.standard_normal(leaf.shape, dtype=np.float32)
    values *= np.float32(deviation)
    return values

  return jax.tree.map(draw, variable_shapes())


def embed_patches(variables: Any, patches: np.ndarray) -> np.ndarray:
  """Runs the network on any number of patches.

  Args:
    variables: as of `random_variables`.
    patches: `[windows, 96, 64]` float32, see `log_mel.patches`.

  Returns:
    `[windows, 128]` float32, before the last ReLU.
  """
  count = len(patches)
  missing = -count % _BATCH
  padded = np.pad(patches, ((0, missing), (0, 0), (0, 0)))
  batches = padded.reshape(-1, _BATCH, *patches.shape[1:])
  variables = jax.device_put(variables)
  # All are under way before the first is waited for.
  embeddings = [_apply(variables, batch) for batch in batches]
  none = np.zeros((0, EMBEDDING), np.float32)
  return np.concatenate([none, *map(np.asarray, embeddings)])[:count]
