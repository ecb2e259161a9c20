"""The command: a PyTorch network's weights restore as PyTorch does."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT, shipped_config

from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.inference import network
from distortion_removal.training import weights
from third_party import demucs_weights, open_unmix_weights
from third_party.import_weights import import_weights

SIZES = {
  "demucs": {"channels": 4, "depth": 2, "lstm_layers": 1},
  "umx": {"stft_size": 64, "stft_hop": 16, "features": 8, "lstm_layers": 2},
}
CHUNKS = {"chunk_seconds": 0.1, "overlap_seconds": 0.0}


def _config(name):
  config = shipped_config(f"{name}_signaltrain")
  config.model.fields.update(SIZES[name])
  config.apply.update(CHUNKS)
  return config


def _reference(port, name):
  """The PyTorch network, to be evaluated."""
  torch = pytest.importorskip("torch")
  torch.manual_seed(0)
  try:
    return port.reference(models.create(name, **SIZES[name])).eval()
  except ImportError as error:
    pytest.skip(str(error))


def _restore(target, reference):
  """A chunk of noise as restored by the file's network and by PyTorch's."""
  import torch

  function = network.load_network(target, weights.load_config(target))
  rng = np.random.default_rng(0)
  audio = rng.uniform(-0.5, 0.5, (1, 1_600, 1)).astype(np.float32)
  with torch.no_grad():
    expected = reference(torch.from_numpy(audio).swapaxes(1, 2))
  return function(audio)[0, :, 0], expected.numpy().reshape(-1)


@pytest.mark.e2e
def test_demucs_from_the_command_line(tmp_path):
  reference = _reference(demucs_weights, "demucs")
  state = {key: value.numpy() for key, value in reference.state_dict().items()}
  source, target = (tmp_path / f"{x}.safetensors" for x in ("in", "out"))
  safetensors.numpy.save_file(state, source)
  words = [sys.executable, "-m", "third_party.import_weights"]
  words += ["--config=configs/demucs_signaltrain.py", f"--weights={source}"]
  for key, value in SIZES["demucs"].items():
    words.append(f"--config.model.fields.{key}={value}")
  for key, value in CHUNKS.items():
    words.append(f"--config.apply.{key}={value}")
  incomplete = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
  assert incomplete.returncode == 1
  assert re.fullmatch("error: --output is missing.*\n", incomplete.stderr)
  words.append(f"--output={target}")
  output = subprocess.check_output(words, cwd=ROOT, text=True)
  assert output == f"written: {target}\n"
  card = json.loads(target.with_suffix(".json").read_text())
  assert card["origin"] == "imported from in.safetensors"
  assert "task" not in card
  np.testing.assert_allclose(*_restore(target, reference), atol=1e-5)


@pytest.mark.e2e
def test_open_unmix(tmp_path):
  reference = _reference(open_unmix_weights, "umx")
  import torch

  state = reference.network.state_dict()
  for value in state.values():
    # Means of 0 and scales of 1 would hide where they go.
    if value.ndim == 1:
      value.add_(0.5 * torch.rand_like(value))
  source, target = tmp_path / "umx.pth", tmp_path / "out.safetensors"
  torch.save(state, source)
  import_weights(_config("umx"), source, target)
  np.testing.assert_allclose(*_restore(target, reference), atol=1e-5)


def test_mistakes(tmp_path):
  paths = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
  with pytest.raises(UserError, match=r"'crafx'; choose one of: demucs, umx"):
    import_weights(shipped_config("crafx_signaltrain"), *paths)
  config = _config("umx")
  config.apply.chunk_seconds = 0.0
  with pytest.raises(UserError, match=r"config\.apply\.chunk_seconds is 0"):
    import_weights(config, *paths)
