"""What all networks promise, on tiny ones."""

import jax
import numpy as np
import pytest
from conftest import ROOT

from distortion_removal import apply, models, parallel
from distortion_removal import config as run_config

parts = run_config.sibling(str(ROOT / "configs" / "any"), "parts/networks")
NAMES = ("demucs", "wave_unet", "crafx", "umx")


def _network(name, **fields):
  """A tiny network with random weights, and its jitted function."""
  model = models.create(name, **parts.TINY[name], **fields)
  audio = np.zeros((1, 256, model.audio_channels), np.float32)
  variables = jax.jit(model.init)(jax.random.key(1), audio)
  return model, jax.jit(lambda x: model.apply(variables, x))


def _noise(length, channels=1):
  rng = np.random.default_rng(length)
  return np.float32(0.3 * rng.standard_normal((2, length, channels)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("length", "channels"), [(1, 1), (777, 2)])
def test_any_length_and_channels(name, length, channels):
  model, restore = _network(name, audio_channels=channels)
  audio = _noise(length, channels)
  output = restore(audio)
  assert (output.shape, output.dtype) == (audio.shape, np.float32)
  assert model.valid_length(length) >= length
  # The items of a batch do not see one another.
  np.testing.assert_allclose(restore(audio[1:]), output[1:], atol=1e-5)


@pytest.mark.parametrize("name", ["wave_unet", "crafx"])
def test_chunks_with_context_give_what_the_whole_recording_does(name):
  model, restore = _network(name)
  overlap = sum(model.context)
  chunk = 2 * overlap + 3 * model.hop
  audio = _noise(5 * chunk + 13)
  whole = restore(audio)
  joined = apply.apply_chunked(
    restore,
    audio,
    chunk=chunk,
    overlap=overlap,
    hop=model.hop,
    context=model.context,
  )
  np.testing.assert_allclose(joined, whole, atol=1e-5)
  # Without the context, seams show.
  cut = np.concatenate(
    [restore(audio[:, i : i + chunk]) for i in range(0, 5 * chunk, chunk)], 1
  )
  assert np.abs(cut - whole[:, : 5 * chunk]).max() > 1e-3


def test_the_shipped_crafx_is_joined_exactly():
  config = run_config.sibling(
    str(ROOT / "configs" / "any"), "crafx_signaltrain"
  ).get_config()
  context = models.from_config(config).context
  overlap = config.apply.overlap_seconds * config.data.sample_rate
  assert sum(context) <= overlap


def test_training_on_devices_shares_the_statistics_of_networks_that_have_some():
  umx = models.over_devices(models.create("umx"))
  assert umx.axis_name == parallel.AXIS
  demucs = models.create("demucs")
  assert models.over_devices(demucs) is demucs
