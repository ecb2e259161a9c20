"""VGGish's forward pass in NumPy, an oracle, and random weights for it."""

import jax
import numpy as np

from distortion_removal.metrics.fad import vggish


def random_variables(seed):
  """Normal kernels of variance 2 / fan-in, biases of deviation 0.1."""
  rng = np.random.default_rng(seed)

  def draw(leaf):
    fan_in = np.prod(leaf.shape[:-1])
    deviation = np.sqrt(2.0 / fan_in) if leaf.ndim > 1 else 0.1
    values = rng.standard_normal(leaf.shape, dtype=np.float32)
    return values * np.float32(deviation)

  return jax.tree.map(draw, vggish.variable_shapes())


def _layer(x, layer):
  """ReLU of a 3 x 3 convolution of `[height, width, channels]`, by columns."""
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  height, width, _ = x.shape
  columns = np.concatenate(
    [
      padded[row : row + height, column : column + width]
      for row in range(3)
      for column in range(3)
    ],
    axis=-1,
  )
  kernel = layer["kernel"].reshape(-1, layer["kernel"].shape[-1])
  return np.maximum(columns @ kernel + layer["bias"], 0)


def _pool(x):
  height, width, channels = x.shape
  return x.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))


def forward(params, patch):
  """The embedding of one patch `[96, 64]`, before the last ReLU."""
  x = _pool(_layer(patch[..., None], params["conv1"]))
  x = _pool(_layer(x, params["conv2"]))
  x = _layer(x, params["conv3_1"])
  x = _pool(_layer(x, params["conv3_2"]))
  x = _layer(x, params["conv4_1"])
  x = _pool(_layer(x, params["conv4_2"]))
  x = x.ravel()
  for name in ("fc1_1", "fc1_2"):
    x = np.maximum(x @ params[name]["kernel"] + params[name]["bias"], 0)
  return x @ params["fc2"]["kernel"] + params["fc2"]["bias"]
