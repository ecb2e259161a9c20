"""Demucs against its PyTorch reference, stored and live."""

import pathlib

import jax
import numpy as np
import pytest
from random_networks import assert_near, select

from distortion_removal.models.demucs import Demucs
from third_party.demucs_weights import from_state_dict, reference

STORED = pathlib.Path(__file__).with_name("demucs_reference.npz")
# One set of weights serves them all.
VARIANTS = {
  f"{padding}_{'resampled' if resample else 'plain'}": Demucs(
    channels=4, depth=3, resample=resample, decoder_padding=padding
  )
  for padding in ("same", "valid")
  for resample in (True, False)
}


def run_reference(network, audio):
  """The PyTorch network on `[batch, time, channels]`, as a tensor."""
  import torch

  return network(torch.from_numpy(audio).swapaxes(1, 2))[:, 0].swapaxes(1, 2)


def make_stored():
  """Makes the contents of `demucs_reference.npz` by the live reference.

  `PYTHONPATH=tests/support python -m tests.models.test_demucs` writes the file.
  It was made by demucs 4.1.0, julius 0.2.8 and torch 2.13.0 on an x86-64 CPU.
  """
  import torch

  torch.manual_seed(0)
  rng = np.random.default_rng(0)
  audio = rng.uniform(-0.5, 0.5, (2, 300, 1)).astype(np.float32)
  state = reference(next(iter(VARIANTS.values()))).state_dict()
  arrays = {f"weights/{key}": value.numpy() for key, value in state.items()}
  arrays["audio"] = audio
  for name, model in VARIANTS.items():
    network = reference(model)
    network.load_state_dict(state)
    with torch.no_grad():
      arrays[f"restored/{name}"] = run_reference(network, audio).numpy()
  return arrays


@pytest.fixture(scope="module")
def stored():
  with np.load(STORED) as arrays:
    return dict(arrays)


@pytest.fixture(scope="module")
def variables(stored):
  """The stored weights, for any of the `VARIANTS`."""
  state = select(stored, "weights")
  return {"params": from_state_dict(state, next(iter(VARIANTS.values())))}


@pytest.fixture
def torch():
  pytest.importorskip("demucs.demucs", reason="demucs is not installed")
  return pytest.importorskip("torch")


@pytest.mark.parametrize(
  "name",
  [
    "same_plain",
    "valid_plain",
    pytest.param("same_resampled", marks=pytest.mark.e2e),
    pytest.param("valid_resampled", marks=pytest.mark.e2e),
  ],
)
def test_stored_reference(stored, variables, name):
  restored = jax.jit(VARIANTS[name].apply)(variables, stored["audio"])
  assert_near(restored, stored[f"restored/{name}"], 1e-5)


@pytest.mark.e2e
def test_stored_reference_is_what_the_live_one_gives(stored, torch):
  live = make_stored()
  assert live.keys() == stored.keys()
  for key, value in live.items():
    assert_near(value, stored[key], 1e-5)


@pytest.mark.parametrize("model", VARIANTS.values(), ids=VARIANTS.keys())
def test_valid_length_is_the_shortest_without_remainder(model):
  rate = 2 if model.resample else 1

  def restored(frames):
    """Length in and out of a network that has `frames` in the middle."""
    entry = exit_ = frames
    for _ in range(model.depth):
      entry = (entry - 1) * model.stride + model.kernel_size
      exit_ -= 2 if model.decoder_padding == "valid" else 0
      exit_ = max(0, (exit_ - 1) * model.stride + model.kernel_size)
    return entry // rate, exit_ // rate

  fewest = 1 if model.decoder_padding == "same" else 3
  lengths = [restored(frames) for frames in range(fewest, 60)]
  for length in (1, 2, 10, 42, 43, 300, 1000):
    shortest = next(entry for entry, exit_ in lengths if exit_ >= length)
    assert model.valid_length(length) == shortest


def test_valid_lengths_of_the_paper():
  found = [Demucs().valid_length(2048 * 7 + n) for n in (2730, 2731)]
  assert found == [2048 * 7 + 2730, 2048 * 8 + 2730]


@pytest.mark.e2e
def test_initial_convolutions_are_rescaled_with_their_biases():
  audio = np.zeros((1, 1, 1), np.float32)
  model = Demucs(channels=32, depth=1, lstm_layers=0)
  plain, rescaled = (
    jax.jit(model.clone(rescale=x).init)(jax.random.key(0), audio)["params"]
    for x in (0.0, 0.1)
  )
  for name, layer in plain.items():
    taps, fan, _ = layer["kernel"].shape
    bound = (taps * fan) ** -0.5
    for leaf in layer.values():
      assert np.abs(leaf).max() <= bound
    np.testing.assert_allclose(layer["kernel"].std(), bound / 3**0.5, rtol=0.1)
    scale = np.sqrt(np.std(layer["kernel"], ddof=1) / 0.1)
    for leaf in ("kernel", "bias"):
      np.testing.assert_allclose(
        rescaled[name][leaf], layer[leaf] / scale, rtol=1e-5
      )


@pytest.mark.e2e
def test_silence_and_a_single_sample_have_finite_gradients_and_stay(variables):
  """Without deviation, what the network makes of it is scaled by zero."""
  model = VARIANTS["same_plain"].clone(lstm_layers=0)

  @jax.jit
  @jax.value_and_grad
  def total(variables, audio):
    return model.apply(variables, audio).sum()

  for audio in (np.zeros((1, 50, 1), np.float32), np.ones((1, 1, 1))):
    value, gradient = total(variables, audio)
    np.testing.assert_allclose(value, audio.sum(), atol=1e-6)
    for leaf in jax.tree.leaves(gradient):
      np.testing.assert_array_equal(leaf, 0)


if __name__ == "__main__":
  np.savez_compressed(STORED, **make_stored())
