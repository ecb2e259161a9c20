"""The network behind inverses: what it starts as, and what it may not see."""

import functools

import jax
import numpy as np
import pytest
from random_networks import random_variables

from distortion_removal.effects.overdrive import overdrive
from distortion_removal.models.inverses import Inverses

GAINS_DB = (20.0, 30.0, 40.0)
HOP = 16


@functools.cache
def _model():
  model = Inverses(
    gains_db=GAINS_DB,
    channels=(4, 8),
    taps=3,
    dilations=(2,),
    level_samples=128,
  )
  assert (model.hop, model.valid_length(797)) == (HOP, 800)
  return model, jax.jit(model.apply)


def _clean(length=797):
  """Two items of noise with a peak of 0.5; their last step is not a whole."""
  audio = np.random.default_rng(0).standard_normal((2, length, 1))
  return np.float32(0.5 * audio / np.abs(audio).max(1, keepdims=True))


def _choosing(chosen, correction=0.0):
  """Variables of a network that gives one inverse, and adds a constant."""
  params = jax.tree.map(np.zeros_like, random_variables(_model()[0]))["params"]
  logits = np.where(np.arange(len(GAINS_DB)) == chosen, 0.0, -100.0)
  outputs = np.float32([correction, *logits])
  params["last"]["bias"] = np.tile(outputs, _model()[0].stride)
  return {"params": params}


@pytest.mark.parametrize("chosen", range(len(GAINS_DB)))
def test_the_inverse_of_the_right_gain_is_exact(chosen):
  clean = _clean()
  audio = overdrive(clean, GAINS_DB[chosen])
  found = np.asarray(_model()[1](_choosing(chosen), audio))
  assert (found.shape, found.dtype) == (clean.shape, np.float32)
  error = np.square(found - clean).sum() / np.square(clean).sum()
  assert 10 * np.log10(error) < -80
  others = [_model()[1](_choosing(k), audio) for k in range(3) if k != chosen]
  assert all(np.abs(other - clean).max() > 1e-3 for other in others)


@pytest.mark.e2e
def test_it_starts_with_the_mean_of_the_inverses():
  model, apply = _model()
  audio = overdrive(_clean(), 33.0)
  variables = jax.jit(model.init)(jax.random.key(0), audio)
  inverses = [apply(_choosing(k), audio) for k in range(len(GAINS_DB))]
  expected = np.mean(inverses, axis=0)
  np.testing.assert_allclose(apply(variables, audio), expected, atol=1e-4)


def test_corrections_are_on_the_scale_of_the_spread():
  """That is the deviation of the inverses, here over all that there is."""
  apply = _model()[1]
  audio = overdrive(_clean(64), 33.0)  # shorter than half of the local mean
  inverses = [apply(_choosing(k), audio) for k in range(len(GAINS_DB))]
  spread = np.sqrt(np.var(inverses, axis=0).mean(axis=1, keepdims=True))
  found = apply(_choosing(1, correction=0.5), audio)
  np.testing.assert_allclose(found, inverses[1] + 0.5 * spread, rtol=1e-3)


def test_items_and_channels_do_not_see_one_another():
  model, apply = _model()
  variables = random_variables(model)
  audio = np.asarray(overdrive(_clean(), 33.0))
  found = np.asarray(apply(variables, audio))
  alone = np.asarray(apply(variables, np.stack([audio[1], 0 * audio[0]])))
  np.testing.assert_allclose(alone[0], found[1], atol=1e-5)
  stereo = np.moveaxis(audio, 0, -1)[..., 0, :][None]
  together = jax.jit(model.clone(audio_channels=2).apply)(variables, stereo)
  np.testing.assert_allclose(together[0, :, 0], found[0, :, 0], atol=1e-5)
  np.testing.assert_allclose(together[0, :, 1], found[1, :, 0], atol=1e-5)
