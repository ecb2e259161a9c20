"""Runs that go on, and runs that start from the weights of others."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from conftest import files_of, make_tiny_config, read_checkpoint, read_metrics

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.training import check_config, checkpoint, weights
from distortion_removal.training import start as starting
from distortion_removal.training.start import find_start
from distortion_removal.training.train import train


def _save_run(workdir, config, step=5):
  """A run's folder with random weights, as evaluation reads them."""
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda leaf: np.float32(0.1 * rng.standard_normal(leaf.shape)),
    models.variable_shapes(models.from_config(config)),
  )
  checkpoint.save_weights(workdir, variables, step)
  run_config.save(config, workdir)
  return variables


def _config(**fields):
  config = make_tiny_config("nowhere")
  config.update_from_flattened_dict(fields)
  return config


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """A folder of weights, the file of the same, and the weights."""
  folder = tmp_path_factory.mktemp("source")
  variables = _save_run(folder / "run", _config())
  weights.export_run(folder / "run", folder / "model.safetensors")
  return folder, variables


@pytest.fixture
def run_of_six(tmp_path):
  """The folder of a run that says it has taken six of 100 steps."""
  run_config.save(_config(steps=100), tmp_path)
  (tmp_path / "checkpoints/last/6").mkdir(parents=True)
  return tmp_path


@pytest.fixture
def logged(caplog, monkeypatch):
  """The lines that are logged, when called."""
  monkeypatch.setattr(starting.logger, "propagate", True)
  caplog.set_level("INFO", starting.logger.name)
  return lambda: [record.getMessage() for record in caplog.records]


def test_every_field_of_the_identity_is_named(run_of_six):
  before = files_of(run_of_six)
  config = _config(steps=200, batch_size=8, loss="l2", **{"data.seed": 1})
  with pytest.raises(UserError) as caught:
    train(config, run_of_six)
  message = str(caught.value)
  assert "batch_size: 4 stored, 8 given" in message
  assert "loss: 'l1' stored, 'l2' given" in message
  assert "data.seed: '(absent)' stored, 1 given" in message
  assert "steps" not in message
  assert f"--config.initialize_from={run_of_six}" in message
  assert files_of(run_of_six) == before


def test_another_spelling_of_a_folder_is_no_other_folder(
  run_of_six, monkeypatch
):
  monkeypatch.chdir(run_of_six)
  stored = _config(steps=100, initialize_from="runs/a")
  run_config.save(stored, run_of_six)
  given = _config(steps=200, initialize_from=f"{run_of_six}/runs//a/")
  given.data.data_dir = f"{run_of_six}/nowhere/"
  start = find_start(given, run_of_six)
  assert start.changed == {"steps": (100, 200)}
  given.data.data_dir = "elsewhere"
  with pytest.raises(UserError, match="data_dir: 'nowhere' stored"):
    find_start(given, run_of_six)


def test_steps_are_not_taken_back(run_of_six):
  before = files_of(run_of_six)
  with pytest.raises(UserError, match=r"taken 6 steps, .*steps 5; nothing"):
    train(_config(steps=5), run_of_six)
  assert files_of(run_of_six) == before


def test_what_may_change_is_stored_and_a_finished_run_does_no_more(
  run_of_six, logged
):
  """Without the data set, which is nowhere."""
  config = _config(steps=6, log_every=3, **{"apply.overlap_seconds": 0.125})
  train(config, run_of_six)
  assert run_config.differences(check_config.load(run_of_six), config) == {}
  changes, finished = logged()
  assert "apply.overlap_seconds 0.25 → 0.125; log_every 1 → 3" in changes
  assert "finished after step 6" in finished


def test_another_schedule_is_told_with_both_rates(run_of_six, logged):
  """After step 6: of 100 or 200 steps, one of them of warm-up."""
  config = _config(steps=200)
  find_start(config, run_of_six)
  peak, end = 3e-4, 3e-6
  old, new = (
    end + (peak - end) * (1 + np.cos(np.pi * 5 / (total - 1))) / 2
    for total in (100, 200)
  )
  told = re.search(r"here on: (\S+) instead of (\S+)$", logged()[-1])
  assert [float(x) for x in told.groups()] == pytest.approx(
    [new, old], rel=5e-3
  )
  # Where the schedule does not depend on the steps, there is nothing to tell.
  constant = {"optimizer.final_learning_rate": peak}
  run_config.save(_config(steps=100, **constant), run_of_six)
  find_start(_config(steps=200, **constant), run_of_six)
  assert logged()[-1] == "resuming after step 6 of 200"


def test_a_folder_and_its_file_start_the_same(source, tmp_path, logged):
  folder, variables = source
  for name in ("run", "model.safetensors"):
    config = _config(
      initialize_from=str(folder / name),
      loss="l2",
      **{"data.task": "overdrive", "data.sample_rate": 16_000},
    )
    start = find_start(config, tmp_path / "new")
    assert (start.step, start.changed) == (None, {})
    jax.tree.map(np.testing.assert_array_equal, start.variables, variables)
    card = json.loads((folder / "model.json").read_text())
    origin = start.origin["initialized_from"]
    assert origin["source"] == str(folder / name)
    for key in ("sha256", "step", "task", "trained_on", "origin"):
      assert origin[key] == card[key], key
    assert start.origin["trained_on"] == "audio_folder"
    begun, differing, pitch = logged()[-3:]
    assert begun.endswith(f"{name}, step 5")
    assert "data.task 'hard_clip' → 'overdrive'" in differing
    assert "l2" not in differing
    assert "at 8000 Hz: at 16000 Hz" in pitch


@pytest.mark.parametrize(
  ("fields", "wanted"),
  [
    (
      {"model.fields.channels": 8},
      r"\(4,\) there, \(8,\) here; .*; and \d+ more; give "
      r"--config.model.fields.channels=4$",
    ),
    (
      {"data.channels": 2, "model.fields.depth": 3},
      "give --config.data.channels=1 --config.model.fields.depth=2$",
    ),
    ({"model.name": "umx"}, "is a demucs, config.model.name is 'umx'"),
    ({"initialize_from": "none"}, "none: no trained run here"),
    ({"initialize_from": "a.safetensors"}, "a.safetensors: not there"),
  ],
)
def test_weights_that_cannot_be_taken(source, tmp_path, fields, wanted):
  """Before the data set, which is nowhere; and the folder is not made."""
  config = _config(initialize_from=str(source[0] / "run"))
  if "model.name" in fields:
    config.model = {"name": "umx", "fields": {}}
    config.objective = "magnitudes"
  else:
    config.update_from_flattened_dict(fields)
  with pytest.raises(UserError, match=f"^config.initialize_from: .*{wanted}"):
    train(config, tmp_path / "new")
  assert not (tmp_path / "new").exists()


def test_pretraining_is_for_random_weights(source, tmp_path):
  config = _config(initialize_from=str(source[0] / "run"))
  config.model = {"name": "crafx", "fields": {}}
  config.pretrain_steps = 2
  with pytest.raises(UserError, match=r"--config\.pretrain_steps=0"):
    train(config, tmp_path / "new")


def _assert_equal_checkpoints(runs, step):
  for item in ("params", "ema", "opt"):
    a, b = (read_checkpoint(run, "last", step, item) for run in runs)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.e2e
def test_a_run_trained_longer_is_the_longer_run(tiny_config, tmp_path):
  """To the bit, where the learning rate is constant after the warm-up.

  Neither do workers, logs and validations change what is learnt.
  """
  tiny_config.optimizer.final_learning_rate = 3e-4
  straight, longer = tmp_path / "straight", tmp_path / "longer"
  train(tiny_config, straight)
  tiny_config.steps = 3
  train(tiny_config, longer)
  tiny_config.steps = 6
  tiny_config.data.workers = 1
  tiny_config.log_every = 2
  train(tiny_config, longer)
  _assert_equal_checkpoints((straight, longer), 6)
  stored = check_config.load(longer)
  assert (stored.steps, stored.data.workers, stored.log_every) == (6, 1, 2)
  rows = read_metrics(longer)
  assert {
    "step": 3,
    "config": {"steps": [3, 6], "data.workers": [0, 1], "log_every": [1, 2]},
  } in rows
  losses = [
    {row["step"]: row["train/loss"] for row in x if "train/loss" in row}
    for x in (read_metrics(straight), rows)
  ]
  assert list(losses[1]) == [1, 2, 3, 4, 6]
  assert losses[1] == {step: losses[0][step] for step in losses[1]}


@pytest.mark.e2e
def test_a_run_fine_tunes_the_weights_of_another(
  tiny_run, tiny_config, tmp_path
):
  """It begins where evaluation sees the other one, and remembers it."""
  source, tuned = tmp_path / "source", tmp_path / "tuned"
  shutil.copytree(tiny_run, source)
  exported = tmp_path / "model.safetensors"
  weights.export_run(source, exported)
  tiny_config.initialize_from = str(source)
  tiny_config.optimizer.learning_rate = 1e-5
  tiny_config.steps = 2
  train(tiny_config, tuned)
  best = max(x.get("validation/si_sdr", -99) for x in read_metrics(source))
  first, *_ = read_metrics(tuned)
  assert first["step"] == 0
  assert first["validation/si_sdr"] == pytest.approx(best, abs=1e-4)
  # It resumes without the source, and without the field.
  shutil.rmtree(source)
  tiny_config.steps, tiny_config.initialize_from = 4, ""
  train(tiny_config, tuned)
  assert check_config.load(tuned).initialize_from == str(source)
  assert checkpoint.last_step(tuned) == 4
  tiny_config.initialize_from = str(tiny_run)
  with pytest.raises(UserError, match=r"initialize_from: .* stored, .* given"):
    train(tiny_config, tuned)
  # The card of what it exports names its source.
  weights.export_run(tuned, tmp_path / "tuned.safetensors")
  card, parent = (
    json.loads((tmp_path / name).read_text())
    for name in ("tuned.json", "model.json")
  )
  assert card["origin"] == "trained"
  assert card["initialized_from"]["sha256"] == parent["sha256"]
  assert card["initialized_from"]["step"] == parent["step"]
