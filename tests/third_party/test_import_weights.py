"""The command: a PyTorch network's weights restore as PyTorch does."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT

from distortion_removal import models
from distortion_removal.inference import network
from third_party import demucs_weights, open_unmix_weights


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "third_party.import_weights", *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def _reference(port, model):
  """The PyTorch network, to be evaluated."""
  try:
    return port.reference(model).eval()
  except ImportError as error:
    pytest.skip(str(error))


def _import(config, fields, weights, target):
  """Imports in a process of its own, with chunks of 0.1 s."""
  result = _run(
    f"--config=configs/{config}.py",
    *(f"--config.model.fields.{key}={value}" for key, value in fields.items()),
    "--config.apply.chunk_seconds=0.1",
    "--config.apply.overlap_seconds=0.0",
    f"--weights={weights}",
    f"--output={target}",
  )
  assert (result.returncode, result.stderr) == (0, "")
  assert result.stdout == f"written: {target}\n"


def _restore(target):
  """A chunk of noise, and what the file's network makes of it."""
  function = network.load_network(target, network.load_config(target))
  rng = np.random.default_rng(0)
  audio = rng.uniform(-0.5, 0.5, (1, 1_600, 1)).astype(np.float32)
  return audio, function(audio)


def test_demucs_from_the_command_line(tmp_path):
  torch = pytest.importorskip("torch")
  fields = {"channels": 4, "depth": 2, "lstm_layers": 1}
  torch.manual_seed(0)
  network = _reference(demucs_weights, models.create("demucs", **fields))
  state = {key: value.numpy() for key, value in network.state_dict().items()}
  weights, target = (tmp_path / f"{x}.safetensors" for x in ("in", "out"))
  safetensors.numpy.save_file(state, weights)
  _import("demucs_signaltrain", fields, weights, target)
  card = json.loads(target.with_suffix(".json").read_text())
  assert card["origin"] == "imported from in.safetensors"
  assert "task" not in card
  audio, restored = _restore(target)
  with torch.no_grad():
    expected = network(torch.from_numpy(audio).swapaxes(1, 2))[:, 0]
  np.testing.assert_allclose(
    restored[..., 0], expected[:, 0].numpy(), atol=1e-5
  )


def test_open_unmix_from_the_command_line(tmp_path):
  torch = pytest.importorskip("torch")
  fields = {"stft_size": 64, "stft_hop": 16, "features": 8, "lstm_layers": 2}
  torch.manual_seed(0)
  network = _reference(open_unmix_weights, models.create("umx", **fields))
  state = network.network.state_dict()
  for value in state.values():
    # Means of 0 and scales of 1 would hide where they go.
    if value.ndim == 1:
      value.add_(0.5 * torch.rand_like(value))
  weights, target = tmp_path / "umx.pth", tmp_path / "out.safetensors"
  torch.save(state, weights)
  _import("umx_signaltrain", fields, weights, target)
  card = json.loads(target.with_suffix(".json").read_text())
  assert card["origin"] == "imported from umx.pth"
  audio, restored = _restore(target)
  with torch.no_grad():
    expected = network(torch.from_numpy(audio).swapaxes(1, 2)).swapaxes(1, 2)
  np.testing.assert_allclose(restored, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "--config is missing"),
    (["--config=configs/umx_signaltrain.py"], "--weights is missing"),
    (
      [
        "--config=configs/crafx_signaltrain.py",
        *("--weights=x.safetensors", "--output=y.safetensors"),
      ],
      "unknown network with an import 'crafx'; choose one of: demucs, umx",
    ),
    (
      [
        "--config=configs/umx_signaltrain.py",
        *("--weights=x.safetensors", "--output=y.safetensors"),
      ],
      "x.safetensors: no such file",
    ),
    (["--config=configs/none.py"], "configs/none.py"),
    (
      ["--config=configs/umx_signaltrain.py", "--config.batchsize=1"],
      "--config: no such field",
    ),
    (["--wieghts=x"], "Unknown command line flag 'wieghts'"),
    (
      [
        "--config=configs/umx_signaltrain.py",
        "--config.apply.chunk_seconds=0",
        *("--weights=x.safetensors", "--output=y.safetensors"),
      ],
      "config.apply.chunk_seconds is 0",
    ),
  ],
)
def test_mistakes_are_one_line(arguments, message):
  result = _run(*arguments)
  assert result.returncode == 1
  assert result.stderr.startswith("error: ")
  assert message in result.stderr
  assert result.stderr.count("\n") == 1
