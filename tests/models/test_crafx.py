"""CRAFx against its description in NumPy, frame by frame, and PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from random_networks import SMALL_CRAFX, bilstm_by_hand, random_variables
from scipy.special import expit

from distortion_removal.models import crafx
from distortion_removal.models.crafx import CRAFx

MONO = CRAFx(**SMALL_CRAFX)
ODD = {"taps": 5, "smoothing_taps": 7, "saaf_segments": 5}
VARIANTS = {
  "stereo": MONO.clone(audio_channels=2),
  # Odd sizes, and four frames over every sample.
  "dense": MONO.clone(frame_hop=8, context_frames=1, **ODD),
}


def noise(seed, *shape):
  return np.random.default_rng(seed).uniform(-0.7, 0.7, shape).astype("float32")


@functools.cache
def random_params(model):
  return random_variables(model)["params"]


@functools.cache
def jitted(model, method):
  return jax.jit(
    lambda params, audio: model.apply({"params": params}, audio, method=method)
  )


def apply(model, params, audio, method="__call__"):
  return np.asarray(jitted(model, method)(params, audio))


# --- The description, written out in float64. ---


def same_correlation(x, filter_):
  """Correlates one signal in zeros, the larger half of the taps after."""
  before, after = (len(filter_) - 1) // 2, len(filter_) // 2
  x = np.pad(x.astype(np.float64), (before, after))
  return scipy.signal.correlate(x, filter_, "valid", method="direct")


def filter_bank(x, kernel):
  """Correlates `[time]`, or a band each, with the columns of the kernel."""
  bands = np.broadcast_to(x.T, (kernel.shape[1], len(x)))
  return np.stack(list(map(same_correlation, bands, kernel.T)), -1)


def numpy_saaf(x, params, limit):
  """v_0 + v_1 x + sum of w_k times the integral of (x - u) over segment k."""
  edges = np.linspace(-limit, limit, len(params["curvature"]) + 1)
  y = params["polynomial"][0] + params["polynomial"][1] * x
  low, high = np.minimum(x, 0), np.maximum(x, 0)
  segments = zip(edges[:-1], edges[1:], params["curvature"], strict=True)
  for left, right, weight in segments:
    a, b = np.clip(left, low, high), np.clip(right, low, high)
    y = y + weight * np.abs((x - a) ** 2 - (x - b) ** 2) / 2
  return y


def numpy_analysis(frame, model, params):
  """Bands `[frame, filters]` and pooled envelopes `[steps, filters]`."""
  bands = filter_bank(frame, params["kernel"][:, 0]) + params["bias"]
  smoothed = filter_bank(np.abs(bands), params["smoothing_kernel"])
  envelopes = np.log1p(np.exp(smoothed + params["smoothing_bias"]))
  return bands, envelopes.reshape(-1, model.pool, model.filters).max(1)


def numpy_frame(frames, model, params):
  """The restored centre frame of all frames around it."""
  analyses = [numpy_analysis(frame, model, params) for frame in frames]
  x = np.concatenate([envelopes for _, envelopes in analyses], -1)
  for i in range(len(model.lstm_features)):
    x = bilstm_by_hand(x, params[f"lstm_{i}"])
  gains = numpy_saaf(x, params["saaf"], model.saaf_range)
  bands = analyses[model.context_frames][0] * np.repeat(gains, model.pool, 0)
  x, last = bands, len(model.dense_features)
  for i in range(last + 1):
    layer = params[f"dense_{i}"]
    x = x @ layer["kernel"] + layer["bias"]
    x = np.tanh(x) if i < last else x
  x = numpy_saaf(x, params["saaf"], model.saaf_range)
  squeeze, excite = params["squeeze"], params["excite"]
  scale = np.abs(x).mean(0) @ squeeze["kernel"] + squeeze["bias"]
  scale = np.maximum(scale, 0) @ excite["kernel"] + excite["bias"]
  bands = bands + x * expit(scale)
  audio, left = np.zeros(model.frame), (model.taps - 1) // 2
  for c in range(model.filters):
    spread = np.convolve(bands[:, c], params["kernel"][:, 0, c])
    audio += spread[left : left + model.frame]
  return audio + params["output_bias"]


def numpy_crafx(audio, model, params):
  """One recording `[time]`; every frame is analysed for each that needs it."""
  size, hop, side = model.frame, model.frame_hop, model.context_frames
  room = size + side * hop
  padded = np.pad(audio.astype(np.float64), (room, room + size))
  restored = np.zeros_like(padded)
  window = scipy.signal.get_window("hann", size)
  starts = [s for s in range(hop - size, len(audio), hop)]
  for start in starts:
    neighbours = range(start - side * hop, start + side * hop + 1, hop)
    frames = [padded[room + s : room + s + size] for s in neighbours]
    frame = numpy_frame(frames, model, params) * window * 2 * hop / size
    restored[room + start : room + start + size] += frame
  return restored[room : room + len(audio)]


# --- Tests. ---


@pytest.mark.parametrize("taps", [1, 2, 5, 40])
def test_smooth_correlates_every_band_with_its_filter(taps):
  bands, kernel = noise(0, 2, 24, 3), noise(1, taps, 3)
  smoothed = jax.jit(crafx.smooth)(bands.swapaxes(1, 2), kernel)
  expected = [filter_bank(frame, kernel).T for frame in bands]
  np.testing.assert_allclose(smoothed, expected, atol=2e-5)


@pytest.mark.parametrize("block", [1, 4, 24])
@pytest.mark.parametrize("taps", [1, 2, 5, 40])
def test_synthesise_is_the_transpose_of_the_analysis(taps, block):
  """<analysis(x), y> = <x, synthesis(y)> for all unit vectors x."""
  bands, kernel = noise(0, 2, 24, 3), noise(1, taps, 3)
  audio = jax.jit(crafx.synthesise, static_argnums=2)(bands, kernel, block)
  units = [filter_bank(unit, kernel) for unit in np.eye(24)]
  expected = np.einsum("xtc,ftc->fx", units, bands)
  np.testing.assert_allclose(audio, expected, atol=2e-5)


@pytest.mark.parametrize(
  ("name", "time"),
  [
    ("dense", 1),
    pytest.param("dense", 75, marks=pytest.mark.e2e),
    pytest.param("stereo", 75, marks=pytest.mark.e2e),
  ],
)
def test_description_in_numpy(name, time):
  model = VARIANTS[name]
  params, audio = random_params(model), noise(time, 2, time, 2)
  audio = audio[..., : model.audio_channels]
  restored = apply(model, params, audio)
  params = jax.tree.map(np.float64, params)
  for recording, result in zip(audio, restored, strict=True):
    for c in range(model.audio_channels):
      expected = numpy_crafx(recording[:, c], model, params)
      np.testing.assert_allclose(result[:, c], expected, atol=2e-5)


@pytest.mark.e2e
def test_initial_weights_are_glorot_uniform_without_bias():
  model = CRAFx(frame=128, frame_hop=64, lstm_features=(16,))
  params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 1, 1)))[
    "params"
  ]
  bounds = {
    "kernel": 6 / (64 + 64 * 32),
    "smoothing_kernel": 6 / (128 + 128),
    "dense_1": 6 / (32 + 16),
    "squeeze": 6 / (32 + 512),
    "excite": 6 / (512 + 32),
  }
  for name, square in bounds.items():
    kernel = params[name]["kernel"] if "kernel" not in name else params[name]
    assert np.abs(kernel).max() <= square**0.5
    np.testing.assert_allclose(np.var(kernel), square / 3, rtol=0.15)
  for name in ("bias", "smoothing_bias", "output_bias"):
    np.testing.assert_array_equal(params[name], 0)
  np.testing.assert_array_equal(params["dense_1"]["bias"], 0)


@pytest.mark.e2e
@pytest.mark.parametrize("model", [MONO, VARIANTS["dense"]])
def test_context_is_what_a_change_of_a_sample_reaches(model):
  """Over all positions within a hop, not a sample more or less."""
  params, time = random_params(model), 12 * model.frame_hop
  places = np.arange(6 * model.frame_hop, 7 * model.frame_hop)
  audio = np.repeat(noise(0, 1, time, 1), len(places), 0)
  changed = audio.copy()
  changed[np.arange(len(places)), places] += 20
  run = jax.jit(model.apply)
  difference = np.not_equal(
    *(run({"params": params}, x) for x in (audio, changed))
  )
  reached = [np.flatnonzero(row) for row in difference[..., 0]]
  pairs = list(zip(places, reached, strict=True))
  before = max(r.max() - p for p, r in pairs)
  after = max(p - r.min() for p, r in pairs)
  assert model.context == (before, after)


@pytest.mark.parametrize("name", VARIANTS)
def test_valid_length_spans_the_frames_that_overlap_the_recording(name):
  assert CRAFx().context == (12_287, 12_286)
  model = VARIANTS[name]
  for length in (1, 15, 16, 17, 100):
    first = model.frame_hop - model.frame
    last = max(range(first, length, model.frame_hop))
    assert model.valid_length(length) == last + model.frame - first


def test_autoencode_scales_by_the_pooled_envelope():
  """One band, which is the signal; its envelope is not smoothed."""
  params = jax.tree.map(np.zeros_like, random_params(MONO))
  params["kernel"][2, 0, 0] = params["smoothing_kernel"][3, 0] = 1
  audio = noise(1, 1, 96, 1)
  loudest = np.abs(audio).reshape(-1, 8).max(1).repeat(8)[:, None]
  restored = apply(MONO, params, audio, method="autoencode")
  expected = audio * np.log1p(np.exp(loudest))
  np.testing.assert_allclose(restored, expected, atol=1e-6)
