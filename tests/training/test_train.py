"""Whole runs: straight, interrupted, refused, failing, and learning."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import (
  RATE,
  files_of,
  make_tiny_config,
  pluck,
  profiled_steps,
  read_checkpoint,
  read_metrics,
)

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import augmentation, opening, pairs
from distortion_removal.datasets.mixing import Mixture
from distortion_removal.effects import tasks
from distortion_removal.training import objectives
from distortion_removal.training import train as training
from distortion_removal.training.metric_writer import MetricWriter
from distortion_removal.training.train import train

KEYS = ("step", "train/loss", "train/gradient_norm")


def _rows_with(key, workdir):
  return [row for row in read_metrics(workdir) if key in row]


def _steps(workdir, kind):
  return {path.name for path in (workdir / "checkpoints" / kind).iterdir()}


@pytest.mark.e2e
def test_a_run_stores_and_logs(tiny_run):
  rows = _rows_with("train/loss", tiny_run)
  assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
  for row in rows:
    assert 0 <= row["speed/data_wait_share"] <= 1
    ratio = row["speed/audio_seconds_per_second"] / (4 * 0.25)
    assert ratio == pytest.approx(row["speed/steps_per_second"])
  assert rows[-1]["speed/eta_minutes"] == 0
  assert _steps(tiny_run, "last") == {"3", "6"}
  scores = {
    row["step"]: row["validation/si_sdr"]
    for row in _rows_with("validation/si_sdr", tiny_run)
  }
  assert list(scores) == [2, 4, 6]
  assert _steps(tiny_run, "best") == {str(max(scores, key=scores.get))}


@pytest.mark.e2e
def test_a_run_keeps_compiled_programs_and_profiles(
  tiny_config, tmp_path, monkeypatch
):
  kept = []
  monkeypatch.setattr(training.devices, "keep_compiled", kept.append)
  train(tiny_config, tmp_path, traced=range(2, 4))
  assert kept == [tmp_path]
  assert profiled_steps(tmp_path / "trace") == {"2", "3"}


def _interrupt_at(monkeypatch, step, kind=signal.SIGTERM):
  """Sends this process a signal when a step's numbers are written."""
  write = MetricWriter.scalars

  def scalars(self, number, values):
    write(self, number, values)
    if number == step and "train/loss" in values:
      os.kill(os.getpid(), kind)

  monkeypatch.setattr(MetricWriter, "scalars", scalars)


def _score(monkeypatch, scores):
  """Makes validations give these scores, one after the other."""
  sounds = {"clean": np.zeros((4, 2_000, 1))}
  sequence = iter(scores)

  def validator(*_, **__):
    return lambda _: ({"validation/si_sdr": next(sequence)}, sounds)

  monkeypatch.setattr(training, "validator", validator)


@pytest.mark.e2e
def test_an_interrupted_run_ends_as_a_straight_one(
  tiny_run, tiny_config, tmp_path, monkeypatch, capfd
):
  """To the bit; and the best score outlives the interruption.

  So does a step with a damaged checkpoint, where that may be skipped.
  """
  _score(monkeypatch, [5.0, 3.0, 4.0])
  with monkeypatch.context() as context:
    _interrupt_at(context, 3)
    with pytest.raises(SystemExit) as caught:
      train(tiny_config, tmp_path)
  assert caught.value.code == 0
  line = capfd.readouterr().err.splitlines()[-1]
  assert line == "stopped at step 4 of 6 as asked; the same command resumes"
  assert _steps(tmp_path, "last") == {"3", "4"}
  config = make_tiny_config(tiny_config.data.data_dir)
  (tmp_path / "checkpoints/last/4/checksums/metadata").write_text("{}")
  with pytest.raises(UserError, match="last/4/params: the checkpoint is damag"):
    train(config, tmp_path)
  _score(monkeypatch, [3.0, 4.0])
  train(config, tmp_path, skip_damaged=True)
  for item in ("params", "ema", "opt"):
    straight, resumed = (
      read_checkpoint(run, "last", 6, item) for run in (tiny_run, tmp_path)
    )
    jax.tree.map(np.testing.assert_array_equal, straight, resumed)
  straight, resumed = (
    [[row[key] for key in KEYS] for row in _rows_with("train/loss", run)]
    for run in (tiny_run, tmp_path)
  )
  assert straight == resumed
  assert _steps(tmp_path, "best") == {"2"}


@pytest.mark.e2e
def test_ctrl_c_stores_and_ends_a_chain_of_commands(
  tiny_config, tmp_path, monkeypatch
):
  _interrupt_at(monkeypatch, 1, signal.SIGINT)
  with pytest.raises(SystemExit) as caught:
    train(tiny_config, tmp_path)
  assert caught.value.code == 1
  assert _steps(tmp_path, "last") == {"2"}


@pytest.mark.e2e
def test_the_same_command_on_a_finished_run_changes_nothing(
  tiny_run, tiny_config
):
  before = files_of(tiny_run)
  train(tiny_config, tiny_run)
  assert files_of(tiny_run) == before


@pytest.mark.e2e
def test_what_cannot_be_trained_claims_no_folder(tiny_config, tmp_path):
  tiny_config.data.augment.gain_db = 3.0
  with pytest.raises(UserError, match="hard_clip fixes the clean peak"):
    train(tiny_config, tmp_path)
  assert not (tmp_path / "config.json").exists()


@pytest.mark.e2e
def test_a_loss_that_is_no_number_stops_and_is_not_stored(
  tiny_config, tmp_path
):
  tiny_config.optimizer.learning_rate = 1e30  # from the second step on
  tiny_config.checkpoint_every = 1
  message = r"not a number at step 3 \(step 2 is stored\)"
  with pytest.raises(UserError, match=message):
    train(tiny_config, tmp_path)
  assert _steps(tmp_path, "last") == {"1", "2"}
  for leaf in jax.tree.leaves(read_checkpoint(tmp_path, "last", 2, "params")):
    assert np.all(np.isfinite(leaf))
  # A validation score that is no number is never the best.
  assert not _steps(tmp_path, "best")
  assert read_metrics(tmp_path)[-1]["step"] == 2


@pytest.mark.e2e
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


def _pairs(count):
  """Records of plucks through a quiet clipper, which no effect here is."""
  for i in range(count):
    clean = np.float32(pluck(1.0, 110.0 + 20 * i) / 0.8)
    degraded = np.clip(4 * clean, -1, 1)
    sides = {"clean": clean, "degraded": np.float32(degraded)}
    peaks = {"peak": np.float32(0.8), "degraded_peak": np.float32(0.2)}
    yield sides | peaks | {"id": b"%d" % i}


@pytest.mark.e2e
def test_a_run_on_recorded_pairs_scores_them(
  tiny_config, tmp_path, monkeypatch
):
  """Validation takes the recorded side, as quiet as it is."""
  records = list(_pairs(8))
  monkeypatch.setattr(opening, "open_dataset", lambda data: None)
  monkeypatch.setattr(opening, "read_split", lambda builder, split: records)
  tiny_config.data.task = "recorded"
  tiny_config.data.augment.gain_db = 3.0
  tiny_config.steps = tiny_config.checkpoint_every = 2
  train(tiny_config, tmp_path)
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


def test_sources_and_augmentation_reach_the_batches(tmp_path, monkeypatch):
  """Trained on the mixture; validated on the run's own data set."""
  config = make_tiny_config("data")
  monkeypatch.setattr(
    opening, "open_dataset", lambda data: (data.dataset, data.data_dir)
  )
  read, compared, seen = [], [], {}
  monkeypatch.setattr(
    opening, "check_apart", lambda *sets: compared.append(sets)
  )

  def read_split(builder, split):
    read.append((builder, split))
    return list(_pairs(3))

  monkeypatch.setattr(opening, "read_split", read_split)

  def training_batches(source, task, **options):
    seen.update(options, source=source)
    raise StopIteration

  monkeypatch.setattr(pairs, "training_batches", training_batches)
  config.data.sources = (("ceg", "here", 2.0), ("audio_folder", "", 1))
  config.data.augment.sums = 0.25
  with pytest.raises(StopIteration):
    train(config, tmp_path)
  assert read == [(("ceg", "here"), "train"), (("audio_folder", ""), "train")]
  own = (config.data.dataset, config.data.data_dir)
  assert compared == [(("ceg", "here"), own), (("audio_folder", ""), own)]
  assert isinstance(seen["source"], Mixture)
  assert seen["source"].weights == (2.0, 1.0)
  assert seen["options"] == augmentation.Augmentation(sums=0.25)


@pytest.mark.e2e
def test_options_of_the_effect_reach_validation_and_training(
  tiny_config, tmp_path, monkeypatch
):
  """Nothing gets louder than the rail at which the effect is set to clip."""

  def loudest(variables, degraded, clean, key):
    zero = sum(0.0 * jnp.sum(x) for x in jax.tree.leaves(variables["params"]))
    return jnp.max(jnp.abs(degraded)) + zero, {}

  written = []
  monkeypatch.setattr(objectives, "create", lambda *_: loudest)
  monkeypatch.setattr(
    MetricWriter, "example", lambda *words: written.append(words[3])
  )
  tiny_config.data.effect.rail = 0.25
  tiny_config.steps = tiny_config.checkpoint_every = 2
  train(tiny_config, tmp_path)
  rows = _rows_with("train/loss", tmp_path)
  assert [row["train/loss"] for row in rows] == [0.25] * 2
  (sounds,) = written
  assert np.abs(sounds["degraded"]).max() == 0.25
