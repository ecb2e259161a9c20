"""The hybrid network: what it starts as, and what holds for any weights."""

import functools

import jax
import numpy as np
import pytest
from random_networks import random_variables

from distortion_removal.models.hybrid import Hybrid

ESTIMATES = 3
HOP = 16


@functools.cache
def _model():
  model = Hybrid(
    estimates=ESTIMATES,
    channels=(4, 8),
    taps=3,
    dilations=(2,),
    level_samples=128,
  )
  assert (model.hop, model.valid_length(797)) == (HOP, 800)
  return model, jax.jit(model.apply)


def _inputs(length=797, batch=2, seed=0):
  """`[audio, signs, estimates…]` of noise in units of the rail.

  Its last step is not a whole one.
  """
  rng = np.random.default_rng(seed)
  clean = 0.7 * rng.standard_normal((batch, length, 1))
  audio = np.clip(clean, -1, 1)
  signs = np.where(np.abs(clean) >= 1, np.sign(clean), 0)
  excess = rng.exponential(0.5, (batch, length, ESTIMATES))
  estimates = np.where(signs, signs * (1 + excess), audio)
  return np.float32(np.concatenate([audio, signs, estimates], axis=2))


def _constant(correction, logits):
  """Variables of a network whose outputs do not depend on its input."""
  params = jax.tree.map(np.zeros_like, random_variables(_model()[0]))["params"]
  outputs = np.float32([correction, *logits])
  params["last"]["bias"] = np.tile(outputs, _model()[0].stride)
  return {"params": params}


@pytest.mark.e2e
def test_it_starts_with_the_mean_of_the_estimates():
  model, apply = _model()
  inputs = _inputs()
  variables = jax.jit(model.init)(jax.random.key(0), inputs)
  expected = inputs[..., 2:].mean(-1, keepdims=True)
  found = apply(variables, inputs)
  assert (found.shape, found.dtype) == (expected.shape, np.float32)
  np.testing.assert_allclose(found, expected, atol=1e-4)


def test_estimates_are_weighted_by_shares_of_one():
  inputs = _inputs()
  shares = np.array([0.1, 0.3, 0.6])
  found = _model()[1](_constant(0.0, np.log(shares)), inputs)
  np.testing.assert_allclose(found[..., 0], inputs[..., 2:] @ shares, rtol=1e-5)


def test_corrections_are_on_the_scale_of_what_exceeds_the_rail():
  """Every fourth sample is clipped and exceeds the rail by as much."""
  excess = 0.4
  signs = np.tile([1, 0, 0, 0, -1, 0, 0, 0], 50)[None, :, None]
  audio = np.where(signs, signs, 0.25)
  estimates = np.where(signs, (1 + excess) * signs, audio)
  inputs = np.concatenate([audio, signs, *ESTIMATES * [estimates]], axis=2)
  found = _model()[1](_constant(0.5, [0.0] * ESTIMATES), np.float32(inputs))
  share = 1 / 4
  scale = np.hypot(excess, share * -1 / np.log(share))
  expected = np.where(signs > 0, 1 + excess + 0.5 * scale, audio)
  expected = np.where(signs < 0, -max(1, 1 + excess - 0.5 * scale), expected)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_any_weights_keep_reliable_samples_and_rails():
  inputs = _inputs()
  audio, signs = inputs[..., :1], inputs[..., 1:2]
  found = np.asarray(_model()[1](random_variables(_model()[0]), inputs))
  np.testing.assert_array_equal(found[signs == 0], audio[signs == 0])
  assert (signs * found)[signs != 0].min() >= 1
  mean = inputs[..., 2:].mean(-1, keepdims=True)
  assert np.abs(found - mean).max() > 0.1  # These weights do change something.


def test_items_and_channels_do_not_see_one_another():
  model, apply = _model()
  variables, inputs = random_variables(model), _inputs()
  found = apply(variables, inputs)
  alone = apply(variables, np.stack([inputs[1], 0 * inputs[0]]))
  np.testing.assert_allclose(alone[0], found[1], atol=1e-5)
  # Two channels of one item: audio, audio, sign, sign, …
  stereo = model.clone(audio_channels=2)
  assert stereo.input_channels == 2 * (2 + ESTIMATES)
  both = np.stack(list(inputs), axis=-1).reshape(1, len(inputs[0]), -1)
  expected = np.concatenate(list(found), axis=-1)
  together = jax.jit(stereo.apply)(variables, both)[0]
  np.testing.assert_allclose(together, expected, atol=1e-5)


def test_it_sees_no_further_than_its_context():
  model, apply = _model()
  variables, inputs = random_variables(model), _inputs(batch=2)
  assert inputs.shape[1] > 2 * sum(model.context)
  place = 400 // HOP * HOP
  inputs[1] = inputs[0]
  inputs[0, place, 2:] *= 3.0
  inputs[0, place, 1] = 1.0 - inputs[0, place, 1]
  one, other = np.asarray(apply(variables, inputs))
  seen = np.flatnonzero(np.abs(one - other).max(-1) > 1e-7)
  before, after = model.context
  assert place - after <= seen.min() < place - HOP
  assert place + HOP < seen.max() <= place + before
