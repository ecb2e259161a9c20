"""Whole runs: straight, interrupted, refused, failing, and learning."""

import os
import shutil
import signal

import jax
import numpy as np
import pytest
from conftest import (
  RATE,
  files_of,
  make_tiny_config,
  pluck,
  read_checkpoint,
  read_metrics,
)

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import augmentation, opening, pairs, stored
from distortion_removal.datasets.mixing import Mixture
from distortion_removal.datasets.preparation import leaks
from distortion_removal.effects import tasks
from distortion_removal.training import checkpoint
from distortion_removal.training import train as training
from distortion_removal.training.metric_writer import MetricWriter
from distortion_removal.training.stop_request import StopRequest
from distortion_removal.training.train import train


def test_a_run_stores_and_logs(tiny_run):
  rows = read_metrics(tiny_run)
  losses_at = [row["step"] for row in rows if "train/loss" in row]
  scores_at = [row["step"] for row in rows if "validation/si_sdr" in row]
  assert losses_at == [1, 2, 3, 4, 5, 6]
  assert scores_at == [2, 4, 6]
  for row in rows:
    if "train/loss" in row:
      assert 0 <= row["speed/data_wait_share"] <= 1
      ratio = row["speed/audio_seconds_per_second"] / (4 * 0.25)
      assert ratio == pytest.approx(row["speed/steps_per_second"])
  assert rows[-2]["speed/eta_minutes"] == 0
  stored = {path.name for path in (tiny_run / "checkpoints/last").iterdir()}
  assert stored == {"3", "6"}


def test_a_stop_request_puts_the_handlers_back():
  # Not the defaults: a shell may start this in the background, deaf to SIGINT.
  kinds = (signal.SIGTERM, signal.SIGINT)
  before = [signal.getsignal(kind) for kind in kinds]
  with StopRequest() as request:
    assert request.signal is None
    os.kill(os.getpid(), signal.SIGTERM)
    assert request.signal == signal.SIGTERM
  assert [signal.getsignal(kind) for kind in kinds] == before


def _interrupt_at(monkeypatch, step):
  """Sends this process SIGTERM when a step's numbers are written."""
  write = MetricWriter.scalars

  def scalars(self, number, values):
    write(self, number, values)
    if number == step and "train/loss" in values:
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(MetricWriter, "scalars", scalars)


def _scores(monkeypatch, scores):
  """Makes validation give these scores, by step, and real sounds."""
  validate = training.validate
  sequence = iter(scores)

  def scored(params, **options):
    return {"validation/si_sdr": next(sequence)}, validate(params, **options)[1]

  monkeypatch.setattr(training, "validate", scored)


def test_an_interrupted_run_ends_as_a_straight_one(
  tiny_run, tiny_config, tmp_path, monkeypatch
):
  """To the bit; and the best score outlives the interruption."""
  _scores(monkeypatch, [5.0, 3.0, 4.0])
  with monkeypatch.context() as context:
    _interrupt_at(context, 3)
    with pytest.raises(SystemExit, match="stopped at step 4 of 6 as asked"):
      train(tiny_config, tmp_path)
  assert {p.name for p in (tmp_path / "checkpoints/last").iterdir()} == {
    "3",
    "4",
  }
  train(make_tiny_config(tiny_config.data.data_dir), tmp_path)
  for item in ("params", "ema", "opt"):
    straight, resumed = (
      read_checkpoint(run, "last", 6, item) for run in (tiny_run, tmp_path)
    )
    jax.tree.map(np.testing.assert_array_equal, straight, resumed)
  keys = ("step", "train/loss", "train/gradient_norm")
  assert [
    [row[key] for key in keys]
    for row in read_metrics(tmp_path)
    if "train/loss" in row
  ] == [
    [row[key] for key in keys]
    for row in read_metrics(tiny_run)
    if "train/loss" in row
  ]
  assert [p.name for p in (tmp_path / "checkpoints/best").iterdir()] == ["2"]


def test_the_same_command_on_a_finished_run_changes_nothing(
  tiny_run, tiny_config, tmp_path
):
  workdir = tmp_path / "run"
  shutil.copytree(tiny_run, workdir)
  before = files_of(workdir)
  train(tiny_config, workdir)
  after = files_of(workdir)
  added = {path.parent.name for path in after.keys() - before.keys()}
  assert added <= {"tensorboard"}
  assert {path: after[path] for path in before} == before


def test_another_configuration_is_refused(tiny_run, tiny_config):
  before = files_of(tiny_run)
  tiny_config.optimizer.learning_rate = 0.5
  tiny_config.batch_size = 8
  with pytest.raises(UserError) as caught:
    train(tiny_config, tiny_run)
  message = str(caught.value)
  assert "batch_size: 4 there, 8 given" in message
  assert "optimizer.learning_rate: 0.0003 there, 0.5 given" in message
  assert "--workdir" in message
  assert files_of(tiny_run) == before


def test_a_configuration_that_cannot_be_trained_claims_no_folder(
  tiny_config, tmp_path
):
  tiny_config.steps = 1
  with pytest.raises(UserError, match="warmup_steps"):
    train(tiny_config, tmp_path)
  assert not (tmp_path / "config.json").exists()


def test_a_loss_that_is_no_number_stops_and_is_not_stored(
  tiny_config, tmp_path
):
  tiny_config.optimizer.learning_rate = 1e30  # from the second step on
  tiny_config.checkpoint_every = 1
  with pytest.raises(UserError) as caught:
    train(tiny_config, tmp_path)
  assert "not a number at step 3 (step 2 is stored)" in str(caught.value)
  assert "config.optimizer.learning_rate" in str(caught.value)
  last = tmp_path / "checkpoints" / "last"
  assert {path.name for path in last.iterdir()} == {"1", "2"}
  for leaf in jax.tree.leaves(read_checkpoint(tmp_path, "last", 2, "params")):
    assert np.all(np.isfinite(leaf))
  # A validation score that is no number is never the best.
  assert not list((tmp_path / "checkpoints" / "best").iterdir())
  assert [row["step"] for row in read_metrics(tmp_path)][-1] == 2


def test_a_run_learns_to_undo_a_hard_clip(tiny_config, tmp_path):
  """Eight seconds bring 15 dB; half of that is asked for."""
  config = tiny_config
  config.model.fields.channels = 16
  config.loss = "neg_si_sdr"
  config.optimizer.learning_rate = 3e-3
  config.optimizer.warmup_steps = 10
  config.ema_decay = 0.95
  config.batch_size = 8
  config.steps = config.checkpoint_every = config.validate_every = 120
  config.log_every = 40
  config.validation_pairs = 14
  train(config, tmp_path)
  score = read_metrics(tmp_path)[-1]
  assert score["validation/si_sdr_improvement"] > 7.5
  before = score["validation/si_sdr"] - score["validation/si_sdr_improvement"]
  assert 4 < before < 10  # the task was one


def test_the_best_weights_are_what_evaluation_reads(tiny_run):
  """Scores of the tiny run fall or rise as they like: the best one counts."""
  scores = {
    row["step"]: row["validation/si_sdr"]
    for row in read_metrics(tiny_run)
    if "validation/si_sdr" in row
  }
  best = max(scores, key=scores.get)
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype),
    read_checkpoint(tiny_run, "best", best, "ema"),
  )
  assert checkpoint.restore_weights(tiny_run, shapes)[1] == best


def _pairs(count):
  """Records of plucks through a quiet clipper, which no effect here is."""
  for i in range(count):
    clean = np.float32(pluck(1.0, 110.0 + 20 * i) / 0.8)
    degraded = np.clip(4 * clean, -1, 1)
    sides = {"clean": clean, "degraded": np.float32(degraded)}
    peaks = {"peak": np.float32(0.8), "degraded_peak": np.float32(0.2)}
    yield sides | peaks | {"id": b"%d" % i}


def test_a_run_on_recorded_pairs_scores_them(
  tiny_config, tmp_path, monkeypatch
):
  """What is validated is the recorded side, as quiet as it is."""
  records = list(_pairs(8))
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(stored, "read_split", lambda builder, split: records)
  config = tiny_config
  config.data.task = "recorded"
  config.data.augment.polarity = True
  config.data.augment.gain_db = 3.0
  config.steps = config.checkpoint_every = 2
  train(config, tmp_path)
  score = read_metrics(tmp_path)[-1]
  held_out = pairs.validation_batch(
    records, tasks.get("recorded"), segment=RATE // 4, pairs=4
  )
  before = score["validation/si_sdr"] - score["validation/si_sdr_improvement"]
  clean, degraded = (held_out[key][..., 0] for key in ("clean", "degraded"))
  scale = np.sum(clean * degraded, 1) / np.sum(clean**2, 1)
  noise = degraded - scale[:, None] * clean
  ratio = scale**2 * np.sum(clean**2, 1) / np.sum(noise**2, 1)
  assert before == pytest.approx(np.mean(10 * np.log10(ratio)), abs=1e-3)


def test_sources_and_augmentation_reach_the_batches(
  tiny_config, tmp_path, monkeypatch
):
  """Trained on the mixture; validated on the run's own data set."""
  monkeypatch.setattr(
    opening, "open_dataset", lambda data: (data.dataset, data.data_dir)
  )
  read, compared = [], []
  monkeypatch.setattr(leaks, "check_apart", lambda *sets: compared.append(sets))

  def read_split(builder, split):
    read.append((builder, split))
    return list(_pairs(3))

  monkeypatch.setattr(stored, "read_split", read_split)
  seen = {}

  def training_batches(source, task, **options):
    seen.update(options, source=source)
    raise StopIteration

  monkeypatch.setattr(pairs, "training_batches", training_batches)
  tiny_config.data.sources = (("ceg", "here", 2.0), ("audio_folder", "", 1))
  tiny_config.data.augment.sums = 0.25
  with pytest.raises(StopIteration):
    train(tiny_config, tmp_path)
  assert read == [(("ceg", "here"), "train"), (("audio_folder", ""), "train")]
  own = (tiny_config.data.dataset, tiny_config.data.data_dir)
  assert compared == [(("ceg", "here"), own), (("audio_folder", ""), own)]
  assert isinstance(seen["source"], Mixture)
  assert seen["source"].weights == (2.0, 1.0)
  assert seen["options"] == augmentation.Augmentation(sums=0.25)


def test_what_the_task_does_not_allow_claims_no_folder(tiny_config, tmp_path):
  tiny_config.data.augment.gain_db = 3.0
  with pytest.raises(UserError, match="hard_clip fixes the clean peak"):
    train(tiny_config, tmp_path)
  assert not (tmp_path / "config.json").exists()


def test_options_of_the_effect_reach_validation_and_training(
  tiny_config, tmp_path, monkeypatch
):
  """Both degrade by the same function, which training is compiled with."""
  tiny_config.data.effect.rail = 0.25
  degraders, degraded = [], []
  compile_step = training._training_step

  def training_step(config, model, degrade):
    degraders.append(degrade)
    return compile_step(config, model, degrade)

  def loop(config, state, step, batches, score, *_):
    _, examples = score(state.ema)
    degraded.append(examples["degraded"])
    batch = {name: value[0] for name, value in next(batches).items()}
    degraded.append(degraders[0](batch))

  monkeypatch.setattr(training, "_training_step", training_step)
  monkeypatch.setattr(training, "_loop", loop)
  train(tiny_config, tmp_path)
  assert [np.abs(audio).max() for audio in degraded] == [0.25, 0.25]
