"""The command: a PyTorch network's weights restore as PyTorch does."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT

from distortion_removal import methods, models
from third_party import demucs_weights


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "third_party.import_weights", *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


def test_demucs_from_the_command_line(tmp_path):
  torch = pytest.importorskip("torch")
  pytest.importorskip("demucs.demucs")
  fields = {"channels": 4, "depth": 2, "lstm_layers": 1}
  model = models.create("demucs", **fields)
  torch.manual_seed(0)
  network = demucs_weights.reference(model)
  state = {key: value.numpy() for key, value in network.state_dict().items()}
  weights, target = (tmp_path / f"{x}.safetensors" for x in ("in", "out"))
  safetensors.numpy.save_file(state, weights)
  result = _run(
    "--config=configs/demucs_signaltrain.py",
    *(f"--config.model.fields.{key}={value}" for key, value in fields.items()),
    "--config.apply.chunk_seconds=0.1",
    "--config.apply.overlap_seconds=0.0",
    f"--weights={weights}",
    f"--output={target}",
  )
  assert result.returncode == 0, result.stderr
  assert json.loads(target.with_suffix(".json").read_text())["step"] == 0
  function, _ = methods.load_network(target, methods.load_config(target))
  rng = np.random.default_rng(0)
  audio = rng.uniform(-0.5, 0.5, (1, 1_600, 1)).astype(np.float32)
  with torch.no_grad():
    expected = network(torch.from_numpy(audio).swapaxes(1, 2))[:, 0]
  np.testing.assert_allclose(
    function(audio)[..., 0], expected[:, 0].numpy(), atol=1e-5
  )


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
  ],
)
def test_mistakes_are_one_line(arguments, message):
  result = _run(*arguments)
  assert result.returncode == 1
  assert result.stderr.startswith("error: ")
  assert message in result.stderr
  assert result.stderr.count("\n") == 1
