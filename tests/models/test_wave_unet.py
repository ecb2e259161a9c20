"""Wave-U-Net against its description written out, and a PyTorch port."""

import jax
import numpy as np
import pytest
import scipy.signal
from random_networks import assert_near, random_variables

from distortion_removal.models.wave_unet import WaveUNet

SMALL = {"levels": 3, "filters": 2, "down_taps": 5, "up_taps": 3}


def convolve(x, layer, mode):
  """Cross-correlation of `[time, in]`, channel by channel."""
  kernel, bias = layer["kernel"], layer["bias"]
  outputs = [
    sum(
      scipy.signal.correlate(x[:, i], kernel[:, i, o], mode, "direct")
      for i in range(x.shape[1])
    )
    for o in range(kernel.shape[2])
  ]
  return np.stack(outputs, 1) + bias


def interpolate(x, weight, padding):
  """Linear where there is no weight."""
  steps = np.arange(2 * len(x) - (padding == "valid")) / 2
  if weight is None:
    # Beyond the last step, np.interp repeats it.
    columns = [np.interp(steps, np.arange(len(x)), c) for c in x.T]
    return np.stack(columns, 1)
  before = 1 / (1 + np.exp(-weight))
  x = np.concatenate([x, np.zeros_like(x[:1])])
  n = steps.astype(int)
  between = before * x[n] + (1 - before) * x[np.minimum(n + 1, len(x) - 1)]
  return np.where(steps[:, None] % 1 == 0, x[n], between)


def crop(x, length):
  surplus = len(x) - length
  assert surplus % 2 == 0
  return x[surplus // 2 : len(x) - surplus // 2]


def paper_lengths(model, length):
  """Input and output of a network that gives `length`, see section 3.2.1."""
  if model.padding == "same":
    return (-(-length // 2**model.levels) * 2**model.levels,) * 2
  steps = length
  for _ in range(model.levels):
    steps = (steps + model.up_taps - 1 + 1) / 2
  entry = int(np.ceil(steps)) + model.down_taps - 1
  exit_ = int(np.ceil(steps))
  for _ in range(model.levels):
    entry = 2 * entry - 1 + model.down_taps - 1
    exit_ = 2 * exit_ - 1 - model.up_taps + 1
  return entry, exit_


def described(model, params, audio):
  """The estimate of one recording `[time, channels]`, and what layers gave."""
  entry, exit_ = paper_lengths(model, len(audio))
  before = (entry - exit_) // 2
  given = np.zeros((entry, audio.shape[1]))
  given[before : before + len(audio)] = audio
  layers, skips, x, padding = {}, [], given, model.padding

  def conv(name, x):
    layers[name] = convolve(x, params[name], padding)
    return layers[name]

  def leaky_conv(name, x):
    x = conv(name, x)
    return np.where(x > 0, x, 0.2 * x)

  for level in range(1, model.levels + 1):
    skips.append(leaky_conv(f"down_{level}", x))
    x = skips[-1][::2]
  x = leaky_conv("bottleneck", x)
  for level in range(model.levels, 0, -1):
    name = f"interpolation_{level}"
    x = interpolate(x, params.get(name, {}).get("weight"), padding)
    layers[name] = x
    x = np.concatenate([crop(skips.pop(), len(x)), x], 1)
    x = leaky_conv(f"up_{level}", x)
  x = np.tanh(conv("output", np.concatenate([crop(given, len(x)), x], 1)))
  assert len(x) == exit_
  x = x[: len(audio)]
  return (audio - x if model.output == "difference" else x), layers


def random_audio(*shape):
  return np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize(
  ("time", "fields"),
  [
    (13, {"levels": 1, "down_taps": 1, "up_taps": 1, "padding": "valid"}),
    (5, {"levels": 1, "output": "difference"}),
    *(
      pytest.param(time, fields, marks=pytest.mark.e2e)
      for time, fields in [
        (43, {"upsampling": "learned", "audio_channels": 2}),
        (40, {"output": "difference", "padding": "valid", "audio_channels": 2}),
        (1, {"upsampling": "learned", "padding": "valid"}),
        (8, {"down_taps": 15, "up_taps": 5}),
        (90, {"down_taps": 15, "up_taps": 5, "padding": "valid"}),
      ]
    ),
  ],
)
def test_every_layer_is_as_described(time, fields):
  model = WaveUNet(**SMALL | fields)
  params = random_variables(model)["params"]
  audio = random_audio(2, time, model.audio_channels)
  restored, state = jax.jit(
    lambda audio: model.apply(
      {"params": params},
      audio,
      capture_intermediates=True,
      mutable="intermediates",
    )
  )(audio)
  layers = state["intermediates"]
  estimate, expected = described(model, params, audio[1])
  for name, value in expected.items():
    assert_near(layers[name]["__call__"][0][1], value, 1e-5)
  assert_near(restored[1], estimate, 1e-5)
  assert restored.dtype == np.float32


def test_lengths_of_the_paper():
  """Table 1's setting with context: 147443 samples in, 16389 out."""
  model = WaveUNet(padding="valid")
  assert model.valid_length(16389) == 147443
  assert model.valid_length(16390) == 147443 + 4096
  _, state = jax.eval_shape(
    lambda audio: model.init_with_output(
      jax.random.key(0), audio, capture_intermediates=True
    ),
    jax.ShapeDtypeStruct((1, 16389, 1), np.float32),
  )
  for layer, shape in {
    "down_1": (1, 147443 - 14, 24),
    "bottleneck": (1, 9, 312),
    "output": (1, 16389, 1),
  }.items():
    assert state["intermediates"][layer]["__call__"][0].shape == shape
  # The margin of "valid" and the distance between two of the deepest steps.
  added = (147443 - 16389) // 2
  assert WaveUNet().context == (added + 4095, added + 4095)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_valid_length_is_the_shortest_that_is_long_enough(padding):
  for fields in (SMALL, SMALL | {"up_taps": 1}, {"levels": 1}):
    model = WaveUNet(**fields, padding=padding)
    for length in range(1, 60):
      entry, exit_ = paper_lengths(model, length)
      assert model.valid_length(length) == entry
      assert length <= exit_ < length + model.hop


@pytest.mark.e2e
@pytest.mark.parametrize(
  "fields",
  [
    {},
    {"padding": "valid"},
    {"upsampling": "learned", "up_taps": 5},
    {"padding": "valid", "down_taps": 3, "up_taps": 1, "levels": 2},
  ],
)
def test_context_is_tight(fields):
  """Derivatives are zero just where no path leads: all weights are positive."""
  model = WaveUNet(**SMALL | {"filters": 1} | fields)
  # Small ones, so that the output function does not saturate.
  params = jax.tree.map(
    lambda leaf: np.abs(leaf) / 8, random_variables(model)["params"]
  )
  before, after = model.context
  time = before + 2 * model.hop + after
  audio = np.full((1, time, 1), 1e-3, np.float32)
  jacobian = jax.jit(
    jax.jacfwd(lambda x: model.apply({"params": params}, x)[0, :, 0])
  )(audio)
  middle = range(before, before + 2 * model.hop)
  reach = [np.flatnonzero(jacobian[t, 0, :, 0])[[0, -1]] - t for t in middle]
  first, last = np.min(reach, 0)[0], np.max(reach, 0)[1]
  assert (-first, last) == (before, after)


@pytest.mark.e2e
def test_initial_weights_are_tensorflows():
  model = WaveUNet(levels=1, filters=24, upsampling="learned")
  audio = random_audio(1, 1, 1)
  params = jax.jit(model.init)(jax.random.key(0), audio)["params"]
  for layer in params.values():
    if "weight" in layer:
      (weights,), bound = layer.values(), (3 / layer["weight"].size) ** 0.5
    else:
      weights = layer["kernel"]
      taps, inputs, features = weights.shape
      bound = (6 / (taps * (inputs + features))) ** 0.5
      np.testing.assert_array_equal(layer["bias"], 0)
    assert np.abs(weights).max() <= bound
    np.testing.assert_allclose(weights.std(), bound / 3**0.5, rtol=0.2)
