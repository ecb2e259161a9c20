"""The correcting network: it starts as the identity, at any level."""

import functools

import jax
import numpy as np
import pytest
from random_networks import random_variables

from distortion_removal.models.correction import Correction

HOP = 16


@functools.cache
def _model():
  model = Correction(channels=(4, 8), taps=3, dilations=(2,), level_samples=128)
  assert (model.hop, model.valid_length(797)) == (HOP, 800)
  return model, jax.jit(model.apply)


def _noise(length=797):
  audio = np.random.default_rng(0).standard_normal((2, length, 1))
  return np.float32(0.2 * audio)


def _constant(correction, log_gain=0.0):
  """Variables of a network that always adds the same share, with a gain."""
  params = jax.tree.map(np.zeros_like, random_variables(_model()[0]))["params"]
  outputs = np.float32([correction, log_gain])
  params["last"]["bias"] = np.tile(outputs, _model()[0].stride)
  return {"params": params}


@pytest.mark.e2e
def test_it_starts_as_the_identity():
  model, apply = _model()
  audio = _noise()
  variables = jax.jit(model.init)(jax.random.key(0), audio)
  found = apply(variables, audio)
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, audio, atol=1e-5)


def test_corrections_are_on_the_scale_of_the_local_level():
  """A loud half second of a quiet tone; far from where it changes."""
  quiet, loud = 0.001, 0.5
  square = np.tile([1.0, -1.0], 1024)
  audio = np.where(np.arange(2048) < 1024, quiet, loud) * square
  audio = np.float32(audio[None, :, None])
  added = np.asarray(_model()[1](_constant(0.5), audio) - audio)[0, :, 0]
  floor = loud / 100
  np.testing.assert_allclose(
    added[:800], 0.5 * np.hypot(quiet, floor), rtol=1e-4
  )
  np.testing.assert_allclose(
    added[1248:], 0.5 * np.hypot(loud, floor), rtol=1e-4
  )


def test_a_gain_is_that_of_its_surroundings():
  """Where the network says 6 dB more, fading over two hops on either side."""
  model, apply = _model()
  audio = np.ones((1, 40 * HOP, 1), np.float32)
  np.testing.assert_allclose(
    apply(_constant(0.0, np.log(2.0)), audio), 2 * audio, rtol=1e-6
  )
  step = np.where(np.arange(40) < 20, 0.0, 0.5)[None, :, None]
  step = np.float32(np.repeat(step, HOP, 1))
  with pytest.MonkeyPatch.context() as patch:
    outputs = np.concatenate([0 * step, step], -1)
    patch.setattr(Correction, "correct", lambda *_: outputs)
    found = np.log(model.apply({}, audio))[0, ::HOP, 0]
  expected = np.interp(np.arange(40), [17, 22], [0.0, 0.5])
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_level_does_not_matter():
  model, apply = _model()
  variables, audio = random_variables(model), _noise()
  found = np.asarray(apply(variables, audio))
  assert np.abs(found - audio).max() > 0.01  # These weights change something.
  louder = np.asarray(apply(variables, 20 * audio))
  np.testing.assert_allclose(louder, 20 * found, atol=2e-4)
  assert not np.any(apply(_constant(0.0), 0 * audio))


def test_items_and_channels_do_not_see_one_another():
  model, apply = _model()
  variables, audio = random_variables(model), _noise()
  audio[1] *= 0.1
  found = np.asarray(apply(variables, audio))
  stereo = np.moveaxis(audio, 0, -1)[..., 0, :][None]
  together = jax.jit(model.clone(audio_channels=2).apply)(variables, stereo)
  for k in range(2):
    np.testing.assert_allclose(together[0, :, k], found[k, :, 0], atol=1e-5)
