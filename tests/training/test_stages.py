"""Training that differs by network: pre-training, statistics and scalers."""

import shutil

import jax
import numpy as np
import pytest
from conftest import ROOT, make_tiny_config, read_checkpoint, read_metrics

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.datasets import opening
from distortion_removal.datasets.spectrum_statistics import (
  spectrum_statistics,
)
from distortion_removal.evaluation.methods import network
from distortion_removal.training import steps
from distortion_removal.training import train as training
from distortion_removal.training.start import find_start
from distortion_removal.training.train import train

parts = run_config.sibling(str(ROOT / "configs" / "any"), "parts/networks")


def _config(data_dir, name, steps):
  config = make_tiny_config(data_dir)
  parts.set_network(config, name)
  parts.shrink(config)
  config.data.segment_seconds = config.apply.overlap_seconds = 0.25
  config.batch_size = 4
  config.steps = steps
  config.validate_every = 1
  config.checkpoint_every = 3
  config.optimizer.learning_rate = 1e-3
  return config


def _changed(before, after):
  """The top-level names of the parameters that differ."""
  same = jax.tree.map(np.array_equal, before, after)
  return {name for name in before if not all(jax.tree.leaves(same[name]))}


@pytest.fixture(scope="module")
def crafx_run(tiny_data, tmp_path_factory):
  config = _config(tiny_data, "crafx", steps=6)
  config.model.fields.lstm_features = (2,)
  config.pretrain_steps = 3
  workdir = tmp_path_factory.mktemp("crafx")
  train(config, workdir)
  return config, workdir


@pytest.mark.e2e
def test_pretraining_moves_the_outer_layers_alone(crafx_run):
  config, workdir = crafx_run
  model = models.from_config(config)
  start = jax.device_get(steps.create_state(config, model).params)
  middle, end = (
    read_checkpoint(workdir, "last", step, "params")["params"]
    for step in (3, 6)
  )
  audio = np.zeros((1, 512, 1), np.float32)
  used = model.init(jax.random.key(0), audio, method="autoencode")["params"]
  assert _changed(start, middle) == set(used) < set(start)
  assert _changed(middle, end) >= set(start) - set(used)


@pytest.mark.e2e
def test_the_second_stage_starts_its_optimiser_and_its_scores_anew(crafx_run):
  _, workdir = crafx_run
  rows = read_metrics(workdir)
  scored = [row["step"] for row in rows if "validation/si_sdr" in row]
  assert scored == [4, 5, 6]
  leaves = jax.tree.leaves(read_checkpoint(workdir, "last", 6, "opt"))
  assert {int(leaf) for leaf in leaves if leaf.ndim == 0} == {3}


@pytest.mark.e2e
def test_an_interruption_between_the_stages_changes_nothing(
  crafx_run, tmp_path
):
  config, workdir = crafx_run
  stored = "checkpoints/last/3"
  shutil.copytree(workdir / stored, tmp_path / stored)
  run_config.save(config, tmp_path)
  train(config, tmp_path)
  for item in ("params", "ema", "opt"):
    jax.tree.map(
      np.testing.assert_array_equal,
      read_checkpoint(tmp_path, "last", 6, item),
      read_checkpoint(workdir, "last", 6, item),
    )


@pytest.mark.e2e
def test_umx_keeps_batch_statistics_and_starts_from_the_datas(
  tiny_data, tmp_path
):
  config = _config(tiny_data, "umx", steps=3)
  tmp_path /= "run"
  train(config, tmp_path)
  stored = read_checkpoint(tmp_path, "last", 3, "ema")
  model = models.from_config(config)
  mean, deviation = spectrum_statistics(
    opening.open_dataset(config.data),
    size=model.stft_size,
    hop=model.stft_hop,
  )
  params = stored["params"]
  scale = 1 / np.maximum(deviation, 1e-4 * deviation.max())
  np.testing.assert_allclose(params["input_mean"], -mean, atol=5e-3)
  np.testing.assert_allclose(params["input_scale"], scale, rtol=1e-2, atol=5e-3)
  for name in ("bn1", "bn2", "bn3"):
    assert np.abs(stored["batch_stats"][name]["mean"]).max() > 0
  # Evaluation uses what was stored: with a run's own weights, to the bit.
  rng = np.random.default_rng(0)
  audio = np.float32(0.1 * rng.standard_normal((1, 8_000, 1)))
  best = int(next((tmp_path / "checkpoints" / "best").iterdir()).name)
  variables = read_checkpoint(tmp_path, "best", best, "ema")
  restore = network(tmp_path, config)
  np.testing.assert_allclose(
    restore(audio, None), model.apply(variables, audio), atol=1e-6
  )
  # Another run that starts from them takes them as they are, without the data.
  config.initialize_from = str(tmp_path)
  start = find_start(config, tmp_path.with_name("tuned"))
  state = training._first_state(start, model, None, None)
  for item in (state.variables, state.ema):
    jax.tree.map(np.testing.assert_array_equal, item, variables)
