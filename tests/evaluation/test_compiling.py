"""An evaluation compiles its programs once, whatever the lengths of files."""

import collections
import shutil

import jax
import numpy as np
import pytest
from conftest import pluck

from distortion_removal import config as run_config
from distortion_removal.datasets import opening, stored
from distortion_removal.evaluation.evaluate import evaluate
from distortion_removal.training import check_config

pytestmark = pytest.mark.e2e
_COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled():
  """How often each function has been compiled, by name."""
  found = collections.Counter()

  def note(event, seconds, *, fun_name="", **_):
    if event == _COMPILED:
      found[fun_name] += 1

  jax.monitoring.register_event_duration_secs_listener(note)
  return found  # The listener stays, which costs nothing.


def test_many_lengths_take_no_more_programs(
  tiny_run, tmp_path, monkeypatch, compiled
):
  """Chunks of a second; 20 recordings of 1 to 2 s, no two of one length."""
  workdir = tmp_path / "run"
  workdir.mkdir()
  config = check_config.load(tiny_run)
  config.listen_excerpts = 0
  config.metrics = ("sdr",)
  run_config.save(config, workdir)
  shutil.copytree(tiny_run / "checkpoints", workdir / "checkpoints")
  records = [
    {
      "clean": np.float32(pluck(length / 8000, 110.0)),
      "peak": np.float32(0.8),
      "id": str(length).encode(),
    }
    for length in range(8_200, 16_000, 400)
  ]
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(stored, "read_split", lambda *_: records)
  evaluate(workdir)
  # The effect, the network, and a mask for each of four lengths of buffers.
  expected = {"jit(<lambda>)": 1, "jit(apply)": 1, "jit(_masked)": 4}
  assert compiled.keys() <= expected.keys()
  assert compiled["jit(apply)"] == 1
  for name, count in compiled.items():
    assert count <= expected[name]
