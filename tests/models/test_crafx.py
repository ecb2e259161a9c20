"""CRAFx against its description in NumPy, frame by frame, and PyTorch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from scipy.special import expit

from distortion_removal.common.errors import UserError
from distortion_removal.models.crafx import CRAFx

SMALL = {
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
MONO = CRAFx(**SMALL)
ODD = {"taps": 5, "smoothing_taps": 7, "saaf_segments": 5}
VARIANTS = {
  "stereo": MONO.clone(audio_channels=2),
  # Odd sizes, and four frames over every sample.
  "dense": MONO.clone(frame_hop=8, context_frames=1, **ODD),
}


def noise(seed, *shape):
  return np.random.default_rng(seed).uniform(-0.7, 0.7, shape).astype("float32")


@functools.cache
def random_params(model, scale=0.4):
  """Parameters of which none is zero, as NumPy arrays."""
  audio = jnp.zeros((1, 1, model.audio_channels))
  shapes = jax.eval_shape(model.init, jax.random.key(0), audio)["params"]
  rng = np.random.default_rng(0)

  def draw(leaf):
    return (scale * rng.standard_normal(leaf.shape)).astype(np.float32)

  return jax.tree.map(draw, shapes)


def apply(model, params, audio, **kwargs):
  def run(params, audio):
    return model.apply({"params": params}, audio, **kwargs)

  return np.asarray(jax.jit(run)(params, audio))


# --- The description, written out in float64. ---


def same_correlation(x, filter_):
  """Of one signal, with zeros around and half of the taps to either side."""
  full = scipy.signal.correlate(x, filter_, "full")
  start = len(filter_) // 2
  return full[start : start + len(x)]


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


def numpy_lstm(x, params):
  hidden = cell = np.zeros(len(params["recurrent_kernel"]))
  outputs = []
  for row in x:
    gates = row @ params["input_kernel"] + params["input_bias"]
    gates = gates + hidden @ params["recurrent_kernel"]
    i, f, g, o = np.split(gates, 4)
    cell = expit(f) * cell + expit(i) * np.tanh(g)
    hidden = expit(o) * np.tanh(cell)
    outputs.append(hidden)
  return np.array(outputs)


def numpy_analysis(frame, model, params):
  """Bands `[frame, filters]` and pooled envelopes `[steps, filters]`."""
  bands = np.stack(
    [
      same_correlation(frame, params["kernel"][:, 0, c]) + params["bias"][c]
      for c in range(model.filters)
    ],
    -1,
  )
  smoothed = np.stack(
    [
      same_correlation(np.abs(bands[:, c]), params["smoothing_kernel"][:, c])
      for c in range(model.filters)
    ],
    -1,
  )
  envelopes = np.log1p(np.exp(smoothed + params["smoothing_bias"]))
  return bands, envelopes.reshape(-1, model.pool, model.filters).max(1)


def numpy_frame(frames, model, params):
  """The restored centre frame of all frames around it."""
  analyses = [numpy_analysis(frame, model, params) for frame in frames]
  x = np.concatenate([envelopes for _, envelopes in analyses], -1)
  for i in range(len(model.lstm_features)):
    lstm = params[f"lstm_{i}"]
    forward = numpy_lstm(x, lstm["layer_0_forward"])
    backward = numpy_lstm(x[::-1], lstm["layer_0_backward"])[::-1]
    x = np.concatenate([forward, backward], -1)
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


@pytest.mark.parametrize(
  ("name", "time"), [("dense", 1), *((name, 75) for name in VARIANTS)]
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


@pytest.mark.parametrize("name", VARIANTS)
def test_pytorch_in_value_and_gradient(name):
  torch = pytest.importorskip("torch")
  from experiments.benchmarks.peers.crafx import from_state_dict, reference

  model = VARIANTS[name]
  torch.manual_seed(0)
  network = reference(model)
  for parameter in network.parameters():
    if parameter.requires_grad:
      torch.nn.init.normal_(parameter, std=0.4)
  audio = noise(1, 2, 90, model.audio_channels)
  clean = noise(2, 2, 90, model.audio_channels)
  restored = network(torch.from_numpy(audio).swapaxes(1, 2)).swapaxes(1, 2)
  (restored - torch.from_numpy(clean)).square().mean().backward()
  named = dict(network.named_parameters())
  params = from_state_dict(
    {key: value.detach().numpy() for key, value in named.items()}, model
  )

  def loss(params):
    y = model.apply({"params": params}, audio)
    return jnp.square(y - clean).mean(), y

  gradient, y = jax.jit(jax.grad(loss, has_aux=True))(params)
  np.testing.assert_allclose(y, restored.detach().numpy(), atol=1e-5)
  expected = {k: v.grad.numpy() for k, v in named.items() if v.requires_grad}
  expected = from_state_dict(expected, model)

  def assert_near(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())

  jax.tree.map(assert_near, gradient, expected)


def test_parameter_count_of_the_paper():
  shapes = jax.eval_shape(CRAFx().init, jax.random.key(0), jnp.zeros((1, 1, 1)))
  assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 275_073


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


def test_context_of_the_paper():
  assert CRAFx().context == (12_287, 12_286)
  assert CRAFx().hop == 2048


def test_chunks_on_the_grid_give_the_whole():
  model = VARIANTS["dense"]
  params, audio, hop = random_params(model), noise(0, 1, 403, 1), model.hop
  whole = apply(model, params, audio)
  left, right = (-(-side // hop) * hop for side in model.context)
  start, end = left + 3 * hop, left + 5 * hop
  chunk = apply(model, params, audio[:, start - left : end + right])
  np.testing.assert_allclose(
    chunk[:, left : left + end - start], whole[:, start:end], atol=1e-6
  )
  tail = apply(model, params, audio[:, start - left :])
  np.testing.assert_allclose(tail[:, left:], whole[:, start:], atol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_valid_length_spans_the_frames_that_overlap_the_recording(name):
  model = VARIANTS[name]
  for length in (1, 15, 16, 17, 100):
    first = model.frame_hop - model.frame
    last = max(range(first, length, model.frame_hop))
    assert model.valid_length(length) == last + model.frame - first


def delta_params(model, kernel, smoothing_kernel, smoothing_bias):
  """Zeros but for these."""
  params = jax.tree.map(np.zeros_like, random_params(model))
  params["kernel"] = np.float32(kernel)[:, None]
  params["smoothing_kernel"] = np.float32(smoothing_kernel)
  params["smoothing_bias"] = np.full(model.filters, smoothing_bias, "float32")
  return params


def test_autoencode_with_delays_loses_only_what_they_push_out_of_a_frame():
  """Unit gains, and per band a delay: a tight frame but for its edges."""
  model = MONO
  kernel = np.zeros((6, 4))
  taps = np.array([0, 2, 3, 5])
  kernel[taps, np.arange(4)] = 0.5
  # softplus(log(e - 1)) = 1.
  params = delta_params(model, kernel, np.zeros((8, 4)), np.log(np.e - 1))
  audio = noise(0, 2, 100, 1)
  place = np.arange(32)
  # Each band puts a sample back if its delay of tap - 2 left it in the frame.
  kept = [(place - (tap - 2) >= 0) & (place - (tap - 2) < 32) for tap in taps]
  window = scipy.signal.get_window("hann", 32) * np.mean(kept, 0)
  gain = np.resize(window[:16] + window[16:], 100)[:, None]
  restored = apply(model, params, audio, method="autoencode")
  np.testing.assert_allclose(restored, gain * audio, atol=1e-6)


def test_autoencode_scales_by_the_pooled_envelope():
  """One band, which is the signal; its envelope is not smoothed."""
  model = MONO
  kernel, smoothing_kernel = np.zeros((6, 4)), np.zeros((8, 4))
  kernel[2, 0] = smoothing_kernel[3, 0] = 1
  params = delta_params(model, kernel, smoothing_kernel, 0.0)
  audio = noise(1, 1, 96, 1)
  loudest = np.abs(audio).reshape(-1, 8).max(1).repeat(8)[:, None]
  restored = apply(model, params, audio, method="autoencode")
  expected = audio * np.log1p(np.exp(loudest))
  np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_autoencode_trains_the_convolutions_alone():
  model = MONO
  audio = noise(0, 1, 64, 1)

  def loss(params):
    y = model.apply({"params": params}, audio, method="autoencode")
    return jnp.abs(y - audio).mean()

  gradient = jax.jit(jax.grad(loss))(random_params(model))
  trained = {
    key
    for key, leaves in gradient.items()
    if any(np.any(leaf) for leaf in jax.tree.leaves(leaves))
  }
  convolutions = {"kernel", "bias", "smoothing_kernel", "smoothing_bias"}
  assert trained == convolutions | {"output_bias"}


def test_dropout_acts_in_training_only():
  small = MONO.clone(lstm_features=(2,), dense_features=())
  model = small.clone(dropout=0.5)
  params, audio = random_params(model), noise(0, 1, 16, 1)
  rngs = {"dropout": jax.random.key(0)}
  without = apply(small, params, audio, train=True)
  np.testing.assert_array_equal(apply(model, params, audio), without)
  assert np.any(apply(model, params, audio, train=True, rngs=rngs) != without)


def test_bfloat16_stays_near_float32():
  model = MONO
  half = model.clone(dtype="bfloat16")
  params, audio = random_params(model), noise(0, 1, 64, 1)
  restored, exact = (apply(m, params, audio) for m in (half, model))
  assert restored.dtype == np.float32
  error = np.abs(restored - exact).max()
  assert 0 < error < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
  ("field", "value", "allowed"),
  [
    ("audio_channels", 0, "one of 1, 2, 3, ..."),
    ("sample_rate", 0, "one of 1, 2, 3, ..."),
    ("filters", 0, "one of 1, 2, 3, ..."),
    ("taps", 0, "one of 1, 2, 3, ..."),
    ("smoothing_taps", 0, "one of 1, 2, 3, ..."),
    ("frame", 0, "one of 1, 2, 3, ..."),
    ("frame", 2048, "2, 3, ... times frame_hop, which is 2048"),
    ("frame", 5000, "2, 3, ... times frame_hop, which is 2048"),
    ("frame_hop", 0, "one of 1, 2, 3, ..."),
    ("context_frames", -1, "one of 0, 1, 2, ..."),
    ("pool", 0, "one of 1, 2, 3, ..."),
    ("pool", 100, "a divisor of frame, which is 4096"),
    ("lstm_features", (0, 16), "positive integers"),
    ("lstm_features", 16, "positive integers"),
    ("lstm_features", (64, 32), "a last one that is half of filters, 32"),
    ("lstm_features", (), "a last one that is half of filters, 32"),
    ("dense_features", (32, -1), "positive integers"),
    ("excitation_features", 0, "one of 1, 2, 3, ..."),
    ("saaf_segments", 0, "one of 1, 2, 3, ..."),
    ("saaf_range", 0.0, "a number greater than 0"),
    ("dropout", 1.0, "a number at least 0 and less than 1"),
  ],
)
def test_fields_that_cannot_work_are_named(field, value, allowed):
  with pytest.raises(UserError) as error:
    CRAFx(**{field: value})
  message = f"CRAFx: {field} is {value!r}; choose {allowed}"
  assert str(error.value) == message
