"""Projection on what agrees with clipped audio, and networks behind it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import shipped_config

from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.models.consistency import (
  Consistent,
  project,
  signs_at_peak,
)
from distortion_removal.training import check_config


class Blend(nn.Module):
  """A network that adds a weighted neighbour: it agrees with no audio."""

  audio_channels: int = 2
  sample_rate: int = 8_000
  dtype: Any = jnp.float32
  hop: int = 1
  context: tuple[int, int] = (1, 0)

  @nn.compact
  def __call__(self, audio, train=False):
    weight = self.param("weight", lambda _: jnp.float32(0.7))
    return audio - weight * jnp.roll(audio, 1, axis=1)


def _clipped(seed=0, shape=(3, 400, 2)):
  """Noise, what a clipper leaves of it, and the signs of its samples."""
  clean = np.random.default_rng(seed).standard_normal(shape)
  signs = np.where(np.abs(clean) >= 1, np.sign(clean), 0)
  return tuple(np.float32(x) for x in (clean, np.clip(clean, -1, 1), signs))


def test_reliable_samples_and_rails_by_hand():
  audio = np.float32([0.5, 1.0, 1.0, -1.0, -1.0]).reshape(1, 5, 1)
  signs = np.float32([0, 1, 1, -1, -1]).reshape(1, 5, 1)
  estimate = np.float32([9.0, 0.2, 3.0, 0.2, -2.0]).reshape(1, 5, 1)
  found = project(estimate, audio, signs)
  np.testing.assert_array_equal(found.ravel(), [0.5, 1.0, 3.0, -1.0, -2.0])


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_it_is_a_projection_that_worsens_no_sample(scale):
  clean, audio, signs = _clipped()
  rng = np.random.default_rng(1)
  one, other = np.float32(scale * rng.standard_normal((2, *clean.shape)))
  found, found_other = (project(x, audio, signs) for x in (one, other))
  rounding = 1e-6 * scale
  assert np.all(np.abs(found - clean) <= np.abs(one - clean) + rounding)
  moved = np.abs(found - found_other)
  assert np.all(moved <= np.abs(one - other) + rounding)
  np.testing.assert_array_equal(project(found, audio, signs), found)
  np.testing.assert_array_equal(found[signs == 0], clean[signs == 0])
  assert np.abs(found)[signs != 0].min() >= 1


def test_gradients_pass_straight_through_clipped_samples():
  _, audio, signs = _clipped()
  weights = np.random.default_rng(2).standard_normal(audio.shape)
  gradient = jax.grad(lambda x: jnp.sum(weights * project(x, audio, signs)))
  # Far short of the rail, too.
  expected = np.where(signs == 0, 0.0, weights)
  np.testing.assert_allclose(gradient(0.0 * audio), expected, rtol=1e-6)


def test_the_peak_of_each_item_is_its_rail():
  _, audio, signs = _clipped()
  levels = np.float32([[[1e-3]], [[1 / 3]], [[70.0]]])
  np.testing.assert_array_equal(signs_at_peak(levels * audio), signs)
  assert not np.any(signs_at_peak(0 * audio))


def test_a_consistent_network_is_the_network_and_a_projection():
  _, audio, signs = _clipped()
  network = Blend()
  model = Consistent(network)
  variables = network.init(jax.random.key(0), audio)
  assert model.init(jax.random.key(0), audio) == variables
  expected = project(network.apply(variables, audio), audio, signs)
  marked = np.concatenate([audio, signs], axis=2)
  np.testing.assert_array_equal(model.apply(variables, marked), expected)
  assert (model.input_channels, model.audio_channels) == (4, 2)
  # Without signs the rail is the peak, whatever the level.
  for level in (1.0, 0.125, 64.0):
    found = model.apply(variables, np.float32(level) * audio)
    np.testing.assert_array_equal(found, np.float32(level) * expected)


def test_any_network_is_made_consistent_by_its_configuration(tiny_config):
  tiny_config.model.consistent = True
  model = models.from_config(tiny_config)
  plain = models.create(
    "demucs",
    audio_channels=1,
    sample_rate=tiny_config.data.sample_rate,
    dtype=tiny_config.compute_dtype,
    **tiny_config.model.fields,
  )
  assert isinstance(model, Consistent)
  assert model.network == plain
  assert models.variable_shapes(model) == models.variable_shapes(plain)


def test_the_level_that_no_task_tells_is_left_open():
  """The gain before the clip is unknown, and the rail keeps the output up."""
  config = shipped_config("demucs_ceg_hard_clip")
  config.model.consistent = True
  with pytest.raises(UserError, match=r"loss is 'neg_sdr'.*'neg_si_sdr'"):
    check_config.check(config)
  config.loss = "neg_si_sdr"
  check_config.check(config)
  config = shipped_config("demucs_signaltrain")
  config.model.consistent = True
  check_config.check(config)
