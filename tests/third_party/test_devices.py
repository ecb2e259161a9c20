"""The PyTorch networks to compare with move to another device whole."""

import importlib

import pytest

from distortion_removal import models

torch = pytest.importorskip("torch")

_PEERS = "experiments.benchmarks.peers"
_NETWORKS = {
  "demucs": (
    "third_party.demucs_weights",
    {"channels": 4, "depth": 2, "lstm_layers": 1},
  ),
  "umx": (
    "third_party.open_unmix_weights",
    {"stft_size": 64, "stft_hop": 16, "features": 8, "lstm_layers": 1},
  ),
  "wave_unet": (
    f"{_PEERS}.wave_unet",
    {"levels": 2, "filters": 4, "upsampling": "learned"},
  ),
  "crafx": (
    f"{_PEERS}.crafx",
    {"filters": 4, "frame": 128, "frame_hop": 64, "lstm_features": (4, 2)},
  ),
}


@pytest.mark.parametrize("name", _NETWORKS)
def test_nothing_stays_on_the_cpu(name):
  port, fields = _NETWORKS[name]
  model = models.create(name, **fields)
  try:
    network = importlib.import_module(port).reference(model).to("meta")
  except ImportError as error:
    pytest.skip(str(error))
  # "meta" has no inverse Fourier transform.
  compute = network.magnitudes if name == "umx" else network
  # PyTorch refuses to compute with a tensor of the CPU beside one that is not.
  result = compute(torch.zeros(2, 1, 300, device="meta"))
  assert result.device.type == "meta"
  result.sum().backward()
  for parameter in network.parameters():
    assert not parameter.requires_grad or parameter.grad.device.type == "meta"
