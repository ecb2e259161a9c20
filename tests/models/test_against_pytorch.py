"""Networks against PyTorch's: demucs, and ports of the others' descriptions.

UMX, which PyTorch trains differently, is compared in test_umx.
"""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_networks import SMALL_CRAFX, assert_near

from distortion_removal import models

pytestmark = pytest.mark.e2e

PORTS = {
  "demucs": "third_party.demucs_weights",
  "umx": "third_party.open_unmix_weights",
  "wave_unet": "experiments.benchmarks.peers.wave_unet",
  "crafx": "experiments.benchmarks.peers.crafx",
  "hybrid": "experiments.benchmarks.peers.hybrid",
}
SMALL = {
  "demucs": {"channels": 4, "depth": 2},
  "umx": {"stft_size": 64, "stft_hop": 16, "features": 8, "lstm_layers": 1},
  "wave_unet": {"levels": 2, "filters": 2, "down_taps": 5, "up_taps": 3},
  "crafx": SMALL_CRAFX,
  "hybrid": {"channels": (4, 6), "taps": 3, "level_samples": 96},
}
STEREO = {"audio_channels": 2}
VALID = {"padding": "valid"}
LEARNED = {"upsampling": "learned"}
DIFFERENCE = {"output": "difference"}
VALID_5 = {"decoder_taps": 5, "decoder_padding": "valid"}
ODD = {"taps": 5, "smoothing_taps": 7, "saaf_segments": 5}


@pytest.fixture
def torch():
  return pytest.importorskip("torch")


def _reference(name, model):
  """The network's port, and a PyTorch network without vanishing weights."""
  import torch

  torch.manual_seed(1)
  try:
    port = importlib.import_module(PORTS[name])
    network = port.reference(model)
  except ImportError as error:
    pytest.skip(str(error))
  if name == "crafx":
    for parameter in network.parameters():
      if parameter.requires_grad:
        torch.nn.init.normal_(parameter, std=0.4)
  return port, network


@pytest.mark.parametrize(
  ("name", "time", "fields"),
  [
    ("demucs", 777, STEREO),
    ("demucs", 2, {"depth": 3, "lstm_layers": 0, "normalize": False}),
    ("demucs", 500, {"kernel_size": 7, "stride": 3, "growth": 1.5}),
    ("demucs", 321, VALID_5 | {"lstm_layers": 1, "resample": False}),
    ("wave_unet", 45, {}),
    ("wave_unet", 45, VALID | DIFFERENCE),
    ("wave_unet", 45, LEARNED | DIFFERENCE),
    ("wave_unet", 45, LEARNED | VALID | STEREO),
    ("crafx", 90, STEREO),
    ("crafx", 90, ODD | {"frame_hop": 8, "context_frames": 1}),
    ("hybrid", 333, STEREO),
    ("hybrid", 90, {"stride": 2, "taps": 4, "estimates": 3}),
    ("hybrid", 500, {"channels": (3, 5, 7), "dilations": (1, 3)}),
  ],
)
def test_value_and_gradient(torch, name, time, fields):
  model = models.create(name, **SMALL[name] | fields)
  port, network = _reference(name, model)
  from experiments.benchmarks.networks import inputs

  shape = (2, 2, time, model.audio_channels)
  rng = np.random.default_rng(1)
  audio, clean = np.float32(rng.uniform(-0.7, 0.7, shape))
  audio = inputs(model, audio, rng)
  expected = network(torch.from_numpy(audio).swapaxes(1, 2))
  expected = expected.reshape(2, -1, time).swapaxes(1, 2)
  (expected - torch.from_numpy(clean)).square().mean().backward()
  named = dict(network.named_parameters())
  params = port.from_state_dict(
    {key: value.detach().numpy() for key, value in named.items()}, model
  )

  def loss(params):
    restored = model.apply({"params": params}, audio)
    return jnp.square(restored - clean).mean(), restored

  gradient, restored = jax.jit(jax.grad(loss, has_aux=True))(params)
  assert_near(restored, expected.detach().numpy(), 1e-5)
  expected = port.from_state_dict(
    {k: v.grad.numpy() for k, v in named.items() if v.requires_grad}, model
  )
  relative = 2e-4 if name == "demucs" else 1e-4
  jax.tree.map(lambda a, b: assert_near(a, b, relative), gradient, expected)


@pytest.mark.parametrize("name", PORTS)
def test_nothing_stays_on_the_cpu(torch, name):
  model = models.create(name, **SMALL[name])
  _, network = _reference(name, model)
  network.to("meta")
  # "meta" has no inverse Fourier transform.
  compute = network.magnitudes if name == "umx" else network
  # PyTorch refuses to compute with tensors of different devices.
  channels = models.input_channels(model)
  result = compute(torch.zeros(2, channels, 300, device="meta"))
  assert result.device.type == "meta"
  result.sum().backward()
  for parameter in network.parameters():
    assert not parameter.requires_grad or parameter.grad.device.type == "meta"
