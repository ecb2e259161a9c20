"""UMX against the package openunmix, stored and live, and by hand."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_networks import assert_near, select

from distortion_removal.common.errors import UserError
from distortion_removal.models.umx import UMX
from third_party.open_unmix_weights import from_state_dict, reference

STORED = pathlib.Path(__file__).with_name("open_unmix_reference.npz")
MODEL = UMX(
  audio_channels=2,
  stft_size=32,
  stft_hop=8,
  features=8,
  lstm_layers=2,
  max_bin=12,
  dropout=0.0,
)


def new_reference(model, seed):
  """The PyTorch network; no parameter or statistic has its initial value."""
  import torch

  torch.manual_seed(seed)
  network = reference(model)
  with torch.no_grad():
    for value in network.state_dict().values():
      if value.ndim == 1:
        value.add_(0.5 * torch.rand_like(value))
  return network


def run_reference(network, degraded, clean):
  """Evaluates the PyTorch network and takes a training step.

  The loss is the mean squared error of magnitudes. `weights/…` is the state
  dictionary, `updated/…` the running statistics after the step.
  """
  import torch

  def put(name, pairs):
    for key, value in pairs:
      arrays[f"{name}/{key}"] = value.detach().numpy().copy()

  arrays = {"degraded": degraded, "clean": clean}
  degraded, clean = (
    torch.from_numpy(audio).swapaxes(1, 2) for audio in (degraded, clean)
  )
  put("weights", network.network.state_dict().items())
  network.eval()
  with torch.no_grad():
    restored = network(degraded).swapaxes(1, 2)
    magnitudes = network.magnitudes(degraded).swapaxes(2, 3)
  arrays |= {"restored": restored.numpy(), "magnitudes": magnitudes.numpy()}
  network.train()
  magnitudes = network.magnitudes(degraded)
  target = network.transform(clean).abs()
  (magnitudes - target).square().mean().backward()
  arrays["train_magnitudes"] = magnitudes.detach().swapaxes(2, 3).numpy()
  buffers = network.network.named_buffers()
  put("updated", (pair for pair in buffers if "running" in pair[0]))
  named = network.network.named_parameters()
  put("gradient", ((key, value.grad) for key, value in named))
  return arrays


def make_stored():
  """Makes the contents of `open_unmix_reference.npz` by the live reference.

  `PYTHONPATH=tests/support python -m tests.models.test_umx` writes the file. It
  was made by openunmix 1.3.0 and torch 2.13.0 on an x86-64 CPU.
  """
  audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 2, 150, 2))
  return run_reference(new_reference(MODEL, 0), *audio.astype(np.float32))


@pytest.fixture(scope="module")
def stored():
  with np.load(STORED) as arrays:
    return dict(arrays)


@pytest.fixture(scope="module")
def variables(stored):
  return from_state_dict(select(stored, "weights"), MODEL)


@pytest.fixture
def torch():
  torch = pytest.importorskip("torch", reason="PyTorch is not installed")
  try:
    reference(MODEL)
  except ImportError:
    pytest.skip("openunmix is not installed")
  threads = torch.get_num_threads()
  # These are small; threads would cost more than they save.
  torch.set_num_threads(1)
  yield
  torch.set_num_threads(threads)


def assert_evaluates(model, arrays):
  """`model` restores as `run_reference` recorded."""
  variables = from_state_dict(select(arrays, "weights"), model)

  @jax.jit
  def evaluate(variables, audio):
    return model.apply(variables, audio), model.apply(
      variables, audio, method="magnitudes"
    )

  restored, magnitudes = evaluate(variables, arrays["degraded"])
  assert_near(restored, arrays["restored"])
  assert_near(magnitudes, arrays["magnitudes"])


def assert_trains(model, arrays):
  """`model` takes the training step that `run_reference` recorded."""
  degraded = arrays["degraded"]
  state = select(arrays, "weights")
  variables = from_state_dict(state, model)

  @jax.jit
  def train(params):
    def loss(params):
      magnitudes, updated = model.apply(
        {**variables, "params": params},
        degraded,
        train=True,
        method="magnitudes",
        mutable=["batch_stats"],
      )
      target = model.transform(arrays["clean"])
      return jnp.square(magnitudes - target).mean(), (magnitudes, updated)

    return jax.grad(loss, has_aux=True)(params)

  gradient, (magnitudes, updated) = train(variables["params"])
  assert_near(magnitudes, arrays["train_magnitudes"])
  changed = select(arrays, "updated") | select(arrays, "gradient")
  expected = from_state_dict(state | changed, model)
  jax.tree.map(assert_near, updated["batch_stats"], expected["batch_stats"])
  expected = expected["params"]
  # Batch normalisation takes any offset of the input out again.
  scale = np.abs(expected["input_scale"]).max()
  for tree in (gradient, expected):
    np.testing.assert_allclose(tree.pop("input_mean") / scale, 0, atol=1e-5)
  jax.tree.map(assert_near, gradient, expected)


def test_stored_reference_in_evaluation(stored):
  assert_evaluates(MODEL, stored)


@pytest.mark.e2e
def test_stored_reference_in_training(stored):
  assert_trains(MODEL, stored)


def test_stored_reference_is_what_the_live_one_gives(stored, torch):
  live = make_stored()
  assert live.keys() == stored.keys()
  # Nothing but rounding, see `assert_trains`.
  for key in live.keys() - {"gradient/input_mean"}:
    assert_near(live[key], stored[key])


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("time", "fields"),
  [
    (600, {"stft_size": 128, "stft_hop": 32, "features": 16}),
    (333, {"stft_size": 64, "stft_hop": 32, "lstm_layers": 1}),
    (400, {"stft_size": 96, "stft_hop": 30, "audio_channels": 2}),
  ],
)
def test_live_reference(torch, time, fields):
  model = UMX(**{"features": 8, "dropout": 0.0} | fields)
  shape = (2, 3, time, model.audio_channels)
  audio = np.random.default_rng(time).standard_normal(shape, np.float32)
  arrays = run_reference(new_reference(model, time), *audio)
  assert_evaluates(model, arrays)
  assert_trains(model, arrays)


@pytest.mark.e2e
def test_initial_parameters_are_those_of_pytorch():
  model = UMX(audio_channels=2, stft_size=128, stft_hop=32, features=64)
  audio = np.zeros((1, 1, 2), np.float32)
  params = jax.jit(model.init)(jax.random.key(0), audio)["params"]
  for name, inputs in (("fc1", 130), ("fc2", 128), ("fc3", 64)):
    kernel, bound = np.asarray(params[name]["kernel"]), inputs**-0.5
    assert kernel.shape[0] == inputs
    assert np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / 3**0.5, rtol=0.02)
  for name in ("input_scale", "output_mean", "output_scale"):
    np.testing.assert_array_equal(params[name], np.ones(65))
  np.testing.assert_array_equal(params["input_mean"], np.zeros(65))


def test_input_scalers_standardise_the_statistics(stored, variables):
  """The network reads z-scores of magnitudes with these statistics."""
  rng = np.random.default_rng(0)
  magnitude = rng.gamma(2.0, np.arange(1.0, 18.0), (500, 17))
  mean, std = magnitude.mean(0), magnitude.std(0)
  params = MODEL.scaled(variables["params"], mean, std)
  z = (magnitude[:, :12] + params["input_mean"]) * params["input_scale"]
  np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
  np.testing.assert_allclose(z.std(0), 1, rtol=1e-5)
  rest = params.keys() - {"input_mean", "input_scale"}
  assert all(params[key] is variables["params"][key] for key in rest)


def test_small_deviations_are_raised_to_a_floor(variables):
  """Relative to the largest, which is in a bin that the network skips."""
  std = np.full(17, 2.0)
  std[[0, 1, 16]] = 1e-3, 0.0, 50.0
  params = MODEL.scaled(variables["params"], np.zeros(17), std)
  expected = np.full(12, 0.5)
  # 1 / (1e-4 * 50); without any deviation one counts.
  expected[:2] = 200.0, 1.0
  np.testing.assert_allclose(params["input_scale"], expected, rtol=1e-6)


def test_statistics_of_another_transform_are_refused(variables):
  message = r"shapes \(9,\) and \(17,\), but stft_size 32 makes \(17,\)"
  with pytest.raises(UserError, match=message):
    MODEL.scaled(variables["params"], np.zeros(9), np.ones(17))


@pytest.mark.e2e
def test_devices_share_their_batch_statistics(stored, variables):
  """Two devices with one example each do what one does with both."""
  audio = stored["degraded"]

  def train(model, audio):
    return model.apply(variables, audio, True, mutable=["batch_stats"])

  expected, updated = jax.jit(lambda audio: train(MODEL, audio))(audio)
  model = MODEL.clone(axis_name="batch")
  mapped = jax.vmap(lambda audio: train(model, audio), axis_name="batch")
  restored, shared = jax.jit(mapped)(audio[:, None])
  assert_near(restored[:, 0], expected)
  for device in range(2):
    jax.tree.map(lambda a, b, i=device: assert_near(a[i], b), shared, updated)


def test_frames_span_the_valid_length():
  """From half a frame before the first sample to after the last frame."""
  model = UMX()
  for length in (1, 255, 256, 257, 32_000):
    last = range(0, length + 1, 256)[-1]
    assert model.valid_length(length) == last + 1024 >= length


if __name__ == "__main__":
  np.savez_compressed(STORED, **make_stored())
