"""What all networks promise, on tiny ones."""

import jax
import numpy as np
import pytest
from conftest import ROOT

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.audio import chunks
from distortion_removal.common import devices

parts = run_config.sibling(str(ROOT / "configs" / "any"), "parts/networks")
NAMES = ("demucs", "wave_unet", "crafx", "umx")


def _variables(model):
  """Random ones that keep a signal's level; no bias or statistic is zero."""
  rng = np.random.default_rng(1)

  def draw(path, leaf):
    values = rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape)
    is_variance = path[-1].key == "var"
    return np.float32(1 + np.abs(values) if is_variance else values)

  shapes = models.variable_shapes(model)
  return jax.tree_util.tree_map_with_path(draw, shapes)


def _network(name, **fields):
  """A tiny network with random weights, and its jitted function."""
  model = models.create(name, **parts.TINY[name] | fields)
  variables = _variables(model)
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
  audio[0] = 0.5 - audio[0]
  np.testing.assert_allclose(restore(audio)[1], output[1], atol=1e-5)


@pytest.mark.parametrize(
  ("name", "fields"),
  [
    ("wave_unet", {"down_taps": 5}),
    ("wave_unet", {"down_taps": 5, "padding": "valid"}),
    ("crafx", {"lstm_features": (2,), "dense_features": ()}),
  ],
)
def test_chunks_with_context_give_what_the_whole_recording_does(name, fields):
  """Short of a hop, short of a chunk in whole hops, of a chunk, and longer."""
  model, restore = _network(name, **fields)
  overlap = sum(model.context)
  hops = 2 * overlap // model.hop + 3
  whole_hops = hops * model.hop
  chunk = whole_hops + model.hop // 2
  chunking = {"chunk": chunk, "overlap": overlap}
  chunking |= {"hop": model.hop, "context": model.context}
  short = (1, model.hop - 1, whole_hops - 5, chunk - 5)
  for length in (*short, 3 * whole_hops + model.hop - 1):
    audio = _noise(length)
    whole = np.asarray(restore(audio))
    joined = chunks.apply_chunked(restore, audio, **chunking)
    np.testing.assert_allclose(joined, whole, atol=1e-5)
  # Without the context, seams show.
  first, second = np.split(audio[:, : 2 * whole_hops], 2, 1)
  cut = np.concatenate([restore(first), restore(second)], 1)
  assert np.abs(cut - whole[:, : 2 * whole_hops]).max() > 1e-2


def test_the_shipped_crafx_is_joined_exactly():
  config = run_config.sibling(
    str(ROOT / "configs" / "any"), "crafx_signaltrain"
  ).get_config()
  context = models.from_config(config).context
  overlap = config.apply.overlap_seconds * config.data.sample_rate
  assert sum(context) <= overlap


def test_training_on_devices_shares_the_statistics_of_networks_that_have_some():
  umx = models.over_devices(models.create("umx"))
  assert umx.axis_name == devices.AXIS
  demucs = models.create("demucs")
  assert models.over_devices(demucs) is demucs
