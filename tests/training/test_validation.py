"""Validation against scores computed by hand."""

import types

import numpy as np
import pytest

from distortion_removal.training.validation import validator

WAVE = np.sin(np.arange(50.0))[:, None]


def _si_sdr(estimate, target):
  e, t = estimate[..., 0].astype(float), target[..., 0].astype(float)
  projected = np.sum(e * t, 1)[:, None] / np.sum(t * t, 1)[:, None] * t
  ratio = np.sum(projected**2, 1) / np.sum((e - projected) ** 2, 1)
  return 10 * np.log10(ratio)


def test_validation_runs_in_slices_and_scores_every_pair_once():
  """Five pairs in slices of two; the last is filled up and cut."""
  rng = np.random.default_rng(0)
  pairs = {
    "clean": np.float32(rng.standard_normal((5, 50, 1))),
    "level": np.float32([1, 2, 3, 4, 5]),
  }
  shapes = []

  def degrade(batch):
    shapes.append(batch["clean"].shape)
    return batch["clean"] + batch["level"][:, None, None] * WAVE

  def apply(gain, degraded):
    return gain * degraded + 0.1 * WAVE

  network = types.SimpleNamespace(apply=apply, sample_rate=8_000)
  validate = validator(network, pairs, degrade=degrade, batch_size=2)
  scores, sounds = validate(np.float32(0.5))
  assert shapes == [(2, 50, 1)]  # compiled once
  degraded = pairs["clean"] + pairs["level"][:, None, None] * WAVE
  estimate = 0.5 * degraded + 0.1 * WAVE
  np.testing.assert_allclose(sounds["degraded"], degraded, rtol=1e-5)
  np.testing.assert_allclose(sounds["estimate"], estimate, atol=1e-5)
  before, after = (
    _si_sdr(x, pairs["clean"]).mean() for x in (degraded, estimate)
  )
  assert scores["validation/si_sdr"] == pytest.approx(after, abs=1e-4)
  improvement = scores["validation/si_sdr_improvement"]
  assert improvement == pytest.approx(after - before, abs=1e-4)


def test_scores_are_averaged_by_label_too():
  """Of the pairs that have it, without those of silent targets."""
  rng = np.random.default_rng(0)
  pairs = {
    "clean": np.float32(rng.standard_normal((4, 50, 1))),
    "level": np.zeros(4, np.float32),
  }
  pairs["clean"][3] = 0.0
  network = types.SimpleNamespace(
    apply=lambda _, degraded: degraded, sample_rate=8_000
  )
  validate = validator(
    network,
    pairs,
    degrade=lambda batch: batch["clean"] + WAVE,
    batch_size=4,
    labels=("a", "b", "a", "b"),
  )
  scores, _ = validate(np.float32(0.0))
  each = _si_sdr(pairs["clean"][:3] + WAVE, pairs["clean"][:3])
  assert scores["validation/si_sdr_a"] == pytest.approx(each[[0, 2]].mean())
  assert scores["validation/si_sdr_b"] == pytest.approx(each[1], abs=1e-4)
