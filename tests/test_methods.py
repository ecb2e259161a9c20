"""Methods: functions of degraded and clean audio."""

import numpy as np
import pytest
from conftest import read_checkpoint, read_metrics

from distortion_removal import config as run_config
from distortion_removal import methods, models
from distortion_removal.errors import UserError


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
  assert methods.chunk_length(tiny_config) == 12_000
  options = methods.chunking(tiny_config)
  assert (options["chunk"], options["overlap"]) == (12_000, 800)


def test_the_network_is_the_runs_with_its_best_weights(tiny_run):
  run = run_config.load(tiny_run)
  function = methods.load_network(tiny_run, run)
  variables = read_checkpoint(tiny_run, "best", _best_step(tiny_run), "ema")
  chunk = _noise(2, methods.chunk_length(run), 1)
  expected = models.from_config(run).apply(variables, chunk)
  np.testing.assert_allclose(function(chunk), expected, atol=1e-6)


def test_a_network_as_a_method_takes_any_length(tiny_run):
  run = run_config.load(tiny_run)
  function = methods.load_network(tiny_run, run)
  method = methods.network(tiny_run, run)
  chunk = methods.chunk_length(run)
  audio = _noise(2, chunk, 1)
  np.testing.assert_array_equal(method(audio, None), function(audio))
  long = _noise(1, 2 * chunk + 77, 1)
  output = method(long, None)
  assert output.shape == long.shape
  # Up to the first cross-fade, it is the first chunk's output.
  until = chunk - methods.chunking(run)["overlap"]
  np.testing.assert_array_equal(
    output[:, :until], function(long[:, :chunk])[:, :until]
  )


def test_another_models_weights_are_refused(tiny_run):
  run = run_config.load(tiny_run)
  run.model.fields.channels = 6
  with pytest.raises(UserError, match=r"another model.*config\.json"):
    methods.load_network(tiny_run, run)
