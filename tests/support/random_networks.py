"""Random variables for networks, and comparisons of what they compute."""

import jax
import numpy as np
from scipy.special import expit

from distortion_removal import models

SMALL_CRAFX = {
  "filters": 4,
  "taps": 6,
  "smoothing_taps": 8,
  "frame": 32,
  "frame_hop": 16,
  "context_frames": 2,
  "pool": 8,
  "lstm_features": (3, 2),
  "dense_features": (5, 3),
  "excitation_features": 6,
  "saaf_segments": 4,
  "saaf_range": 0.3,
  "dropout": 0.0,
}


def random_variables(model, seed=0):
  """Variables that keep a signal's level; no bias or statistic is zero."""
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    values = rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape)
    is_variance = path[-1].key == "var"
    return np.float32(1 + np.abs(values) if is_variance else values)

  return jax.tree_util.tree_map_with_path(draw, models.variable_shapes(model))


def assert_near(actual, expected, relative=1e-5):
  """Asserts an error relative to the largest expected value."""
  scale = np.abs(expected).max()
  np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * scale)


def select(arrays, name):
  """The state dictionary that is stored as `name/…`."""
  start = f"{name}/"
  return {
    key.removeprefix(start): value
    for key, value in arrays.items()
    if key.startswith(start)
  }


def bilstm_by_hand(x, params):
  """The layers of a BiLSTM in float64: `[time, in]` to `[time, 2 * hidden]`."""
  for layer in range(len(params) // 2):
    forward = params[f"layer_{layer}_forward"]
    backward = params[f"layer_{layer}_backward"]
    sides = _lstm(x, forward), _lstm(x[::-1], backward)[::-1]
    x = np.concatenate(sides, -1)
  return x


def _lstm(x, params):
  w = {key: np.asarray(value, np.float64) for key, value in params.items()}
  hidden = cell = np.zeros(len(w["recurrent_kernel"]))
  outputs = []
  for frame in x:
    gates = frame @ w["input_kernel"] + hidden @ w["recurrent_kernel"]
    gates = gates + w["input_bias"] + w.get("recurrent_bias", 0)
    i, f, g, o = np.split(gates, 4)
    cell = expit(f) * cell + expit(i) * np.tanh(g)
    hidden = expit(o) * np.tanh(cell)
    outputs.append(hidden)
  return np.array(outputs)
