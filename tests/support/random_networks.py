"""Random variables for networks, and comparisons of what they compute."""

import jax
import numpy as np

from distortion_removal import models


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
