"""Methods: functions of degraded and clean audio."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from conftest import (
  make_tiny_config,
  read_checkpoint,
  read_metrics,
  shipped_config,
)

from distortion_removal import declipping, models
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines, methods
from distortion_removal.inference import consistent, network
from distortion_removal.training import check_config


@pytest.fixture
def config(tmp_path):
  return make_tiny_config(tmp_path / "data")


def _noise(*shape):
  rng = np.random.default_rng(0)
  return np.float32(0.1 * rng.standard_normal(shape))


@pytest.mark.e2e
def test_a_network_is_the_runs_with_its_best_weights_for_any_length(tiny_run):
  run = check_config.load(tiny_run)
  function = network.load_network(tiny_run, run)
  validated = [r for r in read_metrics(tiny_run) if "validation/si_sdr" in r]
  best = max(validated, key=lambda row: row["validation/si_sdr"])["step"]
  variables = read_checkpoint(tiny_run, "best", best, "ema")
  chunk = network.chunking(run)["chunk"]
  audio = _noise(2, chunk, 1)
  expected = models.from_config(run).apply(variables, audio)
  np.testing.assert_allclose(function(audio), expected, atol=1e-6)

  method = methods.network(tiny_run, run)
  long = _noise(1, 2 * chunk + 77, 1)
  output = method(long, None)
  assert output.shape == long.shape
  # Up to the first cross-fade, it is the first chunk's output.
  until = chunk - network.chunking(run)["overlap"]
  np.testing.assert_array_equal(
    output[:, :until], function(long[:, :chunk])[:, :until]
  )

  run.model.fields.channels = 6
  with pytest.raises(UserError, match=r"another model.*config\.json"):
    network.load_network(tiny_run, run)


@pytest.mark.parametrize("task", ["hard_clip", "hard_clip_sdr"])
def test_a_hybrid_finds_the_rails_of_whole_excerpts(config, monkeypatch, task):
  """Also in chunks that reach no rail; its level is that of the task."""
  found = []

  def restore(audio, rails):
    found.append(rails.high)
    return np.where(np.abs(audio) >= rails.high[:, None], 2.0 * audio, audio)

  monkeypatch.setattr(consistent, "load", lambda *_: restore)
  run = shipped_config("hybrid_hard_clip", "smoke")
  run.data.sample_rate = config.data.sample_rate
  # Clipped at the beginning, then four times as soft.
  degraded = np.clip(15 * _noise(2, 20_000, 1), -1, 1)
  degraded[:, 5_000:] /= 4
  degraded[1] *= 0.3
  method = methods.network(Path("run"), run, task=tasks.get(task))
  output = method(degraded, None)
  assert len(found) > 2
  for rails in found:
    np.testing.assert_allclose(rails, [[1.0], [0.3]], rtol=1e-6)
  scale = np.array([0.25, 0.25 / 0.3])[:, None, None]
  expected = np.where(np.abs(degraded) >= [[[1.0]], [[0.3]]], 2.0, 1.0)
  expected = expected * degraded * (scale if task == "hard_clip" else 1.0)
  np.testing.assert_allclose(output, expected, rtol=1e-5)


def test_a_baseline_gets_its_options_and_the_sample_rate(config, monkeypatch):
  def scale(degraded, _, *, task, sample_rate, factor):
    assert task is tasks.get("hard_clip")
    return factor * degraded + sample_rate

  monkeypatch.setitem(baselines.BASELINES, "scale", baselines.Baseline(scale))
  degraded, rate = _noise(2, 100, 1), config.data.sample_rate
  config.scale = {"factor": 2.0}
  output = methods.baseline("scale", config)(degraded, None)
  np.testing.assert_array_equal(output, 2.0 * degraded + rate)


@pytest.mark.parametrize("task", ["hard_clip", "hard_clip_sdr"])
def test_declippers_are_told_the_level(config, monkeypatch, task):
  """Full scale, or the peak of each item, of which silence has none.

  After an unknown gain the level is that of the task, as networks learn it.
  """
  double = mock.Mock(side_effect=lambda x, *_, **__: (2.0 * np.float64(x), ""))
  monkeypatch.setattr(declipping, "declipper", lambda asked: double)
  config.aspade = {"precision": "float64"}
  config.data.task = task
  degraded = _noise(3, 100, 2) * np.float32([[[1.0]], [[0.1]], [[0.0]]])
  output = methods.baseline("aspade", config)(degraded, None)
  assert output.dtype == np.float32
  (_, level), options = double.call_args
  assert options == {"precision": "float64"}
  peak = np.abs(degraded[:2]).max((1, 2))
  if task == "hard_clip":
    expected = 0.5 * degraded[:2] / peak[:, None, None]
    np.testing.assert_allclose(output[:2], expected, rtol=1e-6)
    assert not output[2].any()
    np.testing.assert_array_equal(level, 1.0)
  else:
    np.testing.assert_array_equal(output, 2.0 * degraded)
    np.testing.assert_array_equal(level[:2], peak)
    assert level[2] > 0


def test_a_hard_clip_that_clips_nothing_is_left(config):
  """Its rail is full scale: a peak below it is no plateau."""
  degraded = np.minimum(_noise(1, 3_000, 1), 0.1)
  output = methods.baseline("aspade", config)(degraded, None)
  at_the_tasks_peak = degraded * (0.5 / np.abs(degraded).max())
  np.testing.assert_allclose(output, at_the_tasks_peak, rtol=1e-6)


@pytest.mark.parametrize(
  "fields",
  [
    {"oversample": 2},
    {"after": (("low_shelf", 200.0, -6.0),)},
    {"rail": 0.5, "before": (("low_shelf", 200.0, -6.0),)},
  ],
)
def test_declippers_do_not_undo_what_is_more_than_clipping(config, fields):
  """Oracles undo anything."""
  aspade, mask = map(baselines.get, ("aspade", "ideal_ratio_mask"))
  assert aspade.applies_to(tasks.get("hard_clip_sdr"))
  config.data.effect.rail = 0.5
  assert aspade.applies_to(tasks.from_config(config.data))
  config.data.effect.update(fields)
  for task in (tasks.from_config(config.data), tasks.get("overdrive")):
    assert not aspade.applies_to(task)
    assert mask.applies_to(task)
