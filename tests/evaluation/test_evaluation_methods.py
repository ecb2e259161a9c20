"""Methods: functions of degraded and clean audio."""

import numpy as np
import pytest
from conftest import read_checkpoint, read_metrics

from distortion_removal import declipping, models
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines, methods
from distortion_removal.inference import network
from distortion_removal.training import check_config


def _best_step(workdir):
  scores = {
    row["step"]: row["validation/si_sdr"]
    for row in read_metrics(workdir)
    if "validation/si_sdr" in row
  }
  return max(scores, key=scores.get)


def _noise(*shape):
  rng = np.random.default_rng(0)
  return np.float32(0.1 * rng.standard_normal(shape))


def test_distorted_is_the_identity():
  degraded = _noise(2, 100, 1)
  np.testing.assert_array_equal(
    methods.distorted(degraded, np.zeros_like(degraded)), degraded
  )


def test_lengths_are_seconds_times_rate(tiny_config):
  tiny_config.apply.chunk_seconds = 1.5
  tiny_config.apply.overlap_seconds = 0.1
  assert network.chunk_length(tiny_config) == 12_000
  options = network.chunking(tiny_config)
  assert (options["chunk"], options["overlap"]) == (12_000, 800)


def test_the_network_is_the_runs_with_its_best_weights(tiny_run):
  run = check_config.load(tiny_run)
  function = network.load_network(tiny_run, run)
  variables = read_checkpoint(tiny_run, "best", _best_step(tiny_run), "ema")
  chunk = _noise(2, network.chunk_length(run), 1)
  expected = models.from_config(run).apply(variables, chunk)
  np.testing.assert_allclose(function(chunk), expected, atol=1e-6)


def test_a_network_as_a_method_takes_any_length(tiny_run):
  run = check_config.load(tiny_run)
  function = network.load_network(tiny_run, run)
  method = methods.network(tiny_run, run)
  chunk = network.chunk_length(run)
  audio = _noise(2, chunk, 1)
  np.testing.assert_array_equal(method(audio, None), function(audio))
  long = _noise(1, 2 * chunk + 77, 1)
  output = method(long, None)
  assert output.shape == long.shape
  # Up to the first cross-fade, it is the first chunk's output.
  until = chunk - network.chunking(run)["overlap"]
  np.testing.assert_array_equal(
    output[:, :until], function(long[:, :chunk])[:, :until]
  )


def test_a_baseline_gets_its_options_and_the_sample_rate(
  tiny_config, monkeypatch
):
  def scale(degraded, clean, *, task, sample_rate, factor=1.0, shift=0.0):
    assert clean is None
    assert task is tasks.get("hard_clip")
    return factor * degraded + shift + sample_rate

  tiny_config.scale = {"factor": 2.0, "shift": 0.5}
  monkeypatch.setitem(baselines.BASELINES, "scale", baselines.Baseline(scale))
  degraded = _noise(2, 100, 1)
  output = methods.baseline("scale", tiny_config)(degraded, None)
  rate = tiny_config.data.sample_rate
  np.testing.assert_array_equal(output, 2.0 * degraded + 0.5 + rate)
  del tiny_config.scale  # a run of an earlier version
  output = methods.baseline("scale", tiny_config)(degraded, None)
  np.testing.assert_array_equal(output, degraded + 0.0 + rate)


@pytest.mark.parametrize("task", ["hard_clip", "hard_clip_sdr"])
@pytest.mark.parametrize("name", ["aspade", "sspade", "social_sparsity"])
def test_declippers_are_told_the_level_and_undo_hard_clipping(
  tiny_config, monkeypatch, name, task
):
  """Full scale, or the peak of each item, of which silence has none.

  After an unknown gain the level is that of the task, as networks learn it.
  """
  seen = []

  def double(audio, clip_level, *, precision):
    seen.append((clip_level, precision))
    return 2.0 * audio.astype(np.float64), "what it did"

  monkeypatch.setattr(declipping, "declipper", lambda asked: double)
  tiny_config[name] = {"precision": "float64"}
  tiny_config.data.task = task
  degraded = _noise(3, 100, 2) * np.float32([[[1.0]], [[0.1]], [[0.0]]])
  output = methods.baseline(name, tiny_config)(degraded, None)
  if task == "hard_clip":
    peak = np.abs(degraded[:2]).max((1, 2), keepdims=True)
    np.testing.assert_allclose(output[:2], 0.5 * degraded[:2] / peak, rtol=1e-6)
    assert not output[2].any()
  else:
    np.testing.assert_array_equal(output, 2.0 * degraded)
  assert output.dtype == np.float32
  ((level, precision),) = seen
  assert precision == "float64"
  if task == "hard_clip":
    np.testing.assert_array_equal(level, 1.0)
  else:
    np.testing.assert_array_equal(level[:2], np.abs(degraded[:2]).max((1, 2)))
    assert level[2] > 0
  baseline = baselines.get(name)
  assert baseline.applies_to(tasks.get("hard_clip"))
  assert baseline.applies_to(tasks.get("hard_clip_sdr"))
  assert not baseline.applies_to(tasks.get("overdrive"))


@pytest.mark.parametrize(
  "fields",
  [
    {"oversample": 2},
    {"after": (("low_shelf", 200.0, -6.0),)},
    {"rail": 0.5, "before": (("low_shelf", 200.0, -6.0),)},
  ],
)
def test_declippers_do_not_undo_what_is_more_than_clipping(tiny_config, fields):
  tiny_config.data.effect.rail = 0.5
  baseline = baselines.get("aspade")
  assert baseline.applies_to(tasks.from_config(tiny_config.data))
  tiny_config.data.effect.update(fields)
  task = tasks.from_config(tiny_config.data)
  assert not baseline.applies_to(task)
  assert baselines.get("ideal_ratio_mask").applies_to(task)


def test_a_hard_clip_that_clips_nothing_is_left(tiny_config):
  """Its rail is full scale: a peak below it is no plateau."""
  degraded = np.minimum(_noise(1, 3_000, 1), 0.1)
  output = methods.baseline("aspade", tiny_config)(degraded, None)
  at_the_tasks_peak = degraded * (0.5 / np.abs(degraded).max())
  np.testing.assert_allclose(output, at_the_tasks_peak, rtol=1e-6)


def test_an_oracle_undoes_anything():
  assert baselines.get("ideal_ratio_mask").applies_to(tasks.get("overdrive"))


def test_another_models_weights_are_refused(tiny_run):
  run = check_config.load(tiny_run)
  run.model.fields.channels = 6
  with pytest.raises(UserError, match=r"another model.*config\.json"):
    network.load_network(tiny_run, run)
