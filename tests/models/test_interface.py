"""The interface of all networks, on tiny ones, and fields that cannot work."""

import functools

import jax
import numpy as np
import pytest
from conftest import shipped_config
from random_networks import random_variables

from distortion_removal import models
from distortion_removal.audio import chunks
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.models.demucs import Demucs

NAMES = ("demucs", "wave_unet", "crafx", "umx")


def _tiny_fields(name):
  return dict(shipped_config(f"{name}_signaltrain", "smoke").model.fields)


@functools.cache
def _tiny(name):
  model = models.create(name, audio_channels=2, **_tiny_fields(name))
  return model, random_variables(model)


@functools.cache
def _restore(name, **fields):
  model, variables = _tiny(name)
  return jax.jit(functools.partial(model.clone(**fields).apply, variables))


def _noise(length, channels=2):
  rng = np.random.default_rng(length)
  return np.float32(0.3 * rng.standard_normal((2, length, channels)))


@pytest.mark.e2e
@pytest.mark.parametrize("name", NAMES)
def test_any_length(name):
  for length in (1, 777):
    audio = _noise(length)
    output = _restore(name)(audio)
    assert (output.shape, output.dtype) == (audio.shape, np.float32)
    assert _tiny(name)[0].valid_length(length) >= length
  # The items of a batch do not see one another.
  audio[0] = 0.5 - audio[0]
  np.testing.assert_allclose(_restore(name)(audio)[1], output[1], atol=1e-5)


@pytest.mark.e2e
@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_stays_near_float32(name):
  model, _ = _tiny(name)
  half = model.clone(dtype="bfloat16")
  assert models.variable_shapes(half) == models.variable_shapes(model)
  audio = _noise(777)
  exact = _restore(name)(audio)
  rounded = _restore(name, dtype="bfloat16")(audio)
  assert rounded.dtype == np.float32
  bound = {"wave_unet": 0.03}.get(name, 0.05) * np.abs(exact).max()
  assert 0 < np.abs(rounded - exact).max() < bound


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("name", "fields"), [("crafx", {}), ("umx", {"lstm_layers": 2})]
)
def test_dropout_is_driven_by_its_stream_in_training_only(name, fields):
  model = models.create(name, **_tiny_fields(name) | fields)
  assert model.dropout > 0
  variables, audio = random_variables(model), _noise(777, 1)

  @jax.jit
  def train(seed):
    rngs = {"dropout": jax.random.key(seed)}
    mutable = ["batch_stats"]
    return model.apply(variables, audio, True, rngs=rngs, mutable=mutable)[0]

  first, other = train(0), train(1)
  np.testing.assert_array_equal(train(0), first)
  assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()
  # In evaluation no stream is needed.
  jax.jit(model.apply)(variables, audio)


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("name", "fields"),
  [
    ("wave_unet", {"down_taps": 5, "padding": "valid"}),
    ("crafx", {"lstm_features": (2,), "dense_features": ()}),
  ],
)
def test_chunks_with_context_give_what_the_whole_recording_does(name, fields):
  """Short of a hop, short of a chunk in whole hops, of a chunk, and longer."""
  model = models.create(name, **_tiny_fields(name) | fields)
  variables = random_variables(model)
  restore = jax.jit(functools.partial(model.apply, variables))
  overlap = sum(model.context)
  whole_hops = (2 * overlap // model.hop + 3) * model.hop
  chunk = whole_hops + model.hop // 2
  chunking = {"chunk": chunk, "overlap": overlap}
  chunking |= {"hop": model.hop, "context": model.context}
  short = (1, model.hop - 1, whole_hops - 5, chunk - 5)
  for length in (*short, 3 * whole_hops + model.hop - 1):
    audio = _noise(length, 1)
    whole = np.asarray(restore(audio))
    joined = chunks.apply_chunked(restore, audio, **chunking)
    np.testing.assert_allclose(joined, whole, atol=1e-5)
  # Without the context, seams show.
  first, second = np.split(audio[:, : 2 * whole_hops], 2, 1)
  cut = np.concatenate([restore(first), restore(second)], 1)
  assert np.abs(cut - whole[:, : 2 * whole_hops]).max() > 1e-2


def test_the_shipped_crafx_is_joined_exactly():
  config = shipped_config("crafx_signaltrain")
  context = models.from_config(config).context
  overlap = config.apply.overlap_seconds * config.data.sample_rate
  assert sum(context) <= overlap


@pytest.mark.parametrize(
  ("name", "fields", "count"),
  [
    ("demucs", {"channels": 64}, 265_675_393),
    ("demucs", {"channels": 16}, 16_621_729),
    ("wave_unet", {}, 10_263_002),
    # One weight for each of the features 48, 72, ..., 312.
    ("wave_unet", {"upsampling": "learned"}, 10_263_002 + 12 * (48 + 312) // 2),
    # The first layer's, the output's two inputs and two biases.
    ("wave_unet", {"audio_channels": 2}, 10_263_002 + 15 * 24 + 26 + 2),
    ("crafx", {}, 275_073),
    ("umx", {}, 5_785_606),
    ("umx", {"stft_size": 4096, "stft_hop": 1024}, 7_367_686),
  ],
)
def test_parameter_counts_of_the_papers(name, fields, count):
  shapes = models.variable_shapes(models.create(name, **fields))["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def test_devices_share_the_statistics_of_networks_that_have_some():
  umx, demucs = map(models.create, ("umx", "demucs"))
  assert models.for_training(umx).axis_name == devices.AXIS
  assert models.for_training(demucs) == demucs


def test_create_by_name():
  assert models.create("demucs", depth=3) == Demucs(depth=3)
  with pytest.raises(UserError, match="unknown network 'demux'"):
    models.create("demux")
  with pytest.raises(UserError, match="no field 'chanels'"):
    models.create("demucs", chanels=3)


@pytest.mark.parametrize(
  ("name", "field", "value"),
  [
    ("demucs", "depth", 0),
    ("demucs", "decoder_taps", 2),
    ("demucs", "lstm_layers", -1),
    ("demucs", "growth", 0.1),
    ("demucs", "decoder_padding", "full"),
    ("wave_unet", "padding", "full"),
    ("wave_unet", "upsampling", "cubic"),
    ("wave_unet", "output", "mask"),
    ("crafx", "frame", 2048),
    ("crafx", "pool", 100),
    ("crafx", "lstm_features", ()),
    ("crafx", "lstm_features", (64, 32)),
    ("crafx", "dense_features", (32, -1)),
    ("crafx", "saaf_range", 0.0),
    ("crafx", "dropout", 1.0),
    ("umx", "stft_size", 511),
    ("umx", "stft_hop", 513),
    ("umx", "max_bin", 514),
  ],
)
def test_fields_that_cannot_work_are_refused(name, field, value):
  with pytest.raises(UserError) as error:
    models.create(name, **{field: value})
  message = str(error.value)
  assert message.startswith(f"config.model.fields.{field} is {value!r}; ")
  assert "\n" not in message
