"""Validation against scores computed by hand."""

import numpy as np
import pytest

from distortion_removal.training.validation import validate


def test_validation_runs_in_slices_and_scores_every_pair_once(tiny_config):
  """Five pairs in slices of two; the last is filled up and cut."""
  rng = np.random.default_rng(0)
  batch = {
    "clean": np.float32(rng.standard_normal((5, 50, 1))),
    "level": np.float32([1, 2, 3, 4, 5]),
  }
  sizes = []
  wave = np.sin(np.arange(50.0))[:, None]

  def step(gain, part):
    sizes.append(part["level"].size)
    noise = gain * part["level"][..., None, None] * wave
    return {
      "degraded": part["clean"] + noise,
      "estimate": part["clean"] + 0.1 * noise,
    }

  scores, examples = validate(
    0.2, batch=batch, step=step, batch_size=2, sample_rate=8_000
  )
  assert sizes == [2, 2, 2]
  noise = 0.2 * batch["level"][:, None, None] * wave
  np.testing.assert_allclose(
    examples["degraded"], batch["clean"] + noise, rtol=1e-6
  )

  def si_sdr(estimate, target):
    e, t = estimate[..., 0].astype(float), target[..., 0].astype(float)
    projected = np.sum(e * t, 1)[:, None] / np.sum(t * t, 1)[:, None] * t
    ratio = np.sum(projected**2, 1) / np.sum((e - projected) ** 2, 1)
    return 10 * np.log10(ratio)

  expected = si_sdr(batch["clean"] + 0.1 * noise, batch["clean"]).mean()
  before = si_sdr(batch["clean"] + noise, batch["clean"]).mean()
  assert scores["validation/si_sdr"] == pytest.approx(expected, abs=1e-4)
  assert scores["validation/si_sdr_improvement"] == pytest.approx(
    expected - before, abs=1e-4
  )
