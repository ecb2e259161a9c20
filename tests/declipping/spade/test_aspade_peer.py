"""The benchmark's A-SPADEs against the paper's steps, and each other."""

import functools

import numpy as np
import pytest
from frame_after_frame import FRAME, HOP, frame_after_frame, spade_frame

from experiments.benchmarks.peers import aspade

LEVEL = 0.5
OPTIONS = {"redundancy": 2, "s": 1, "r": 2, "epsilon": 0.05}
SIZES = {"frame": FRAME, "hop": HOP, **OPTIONS}


@pytest.fixture
def audio():
  length, rng = 700, np.random.default_rng(0)
  time = np.arange(length)
  clean = 0.8 * np.sin(0.21 * time) + 0.4 * np.sin(0.5 * time + 1.0)
  clean = (clean + 0.02 * rng.standard_normal(length)) * (time < 500)
  return np.clip(clean, -LEVEL, LEVEL)


def test_both_equal_the_definition(audio, monkeypatch):
  definition = functools.partial(spade_frame, "analysis", **OPTIONS)
  expected, iterations = frame_after_frame(audio, LEVEL, definition)
  assert max(iterations) > 10
  assert iterations.count(0) > 5
  results = [
    aspade.frame_by_frame(audio, LEVEL, **SIZES),
    aspade.batched(audio, LEVEL, **SIZES),
    aspade.batched(audio, LEVEL, **SIZES, threads=2, workers=2),
  ]
  monkeypatch.setattr(aspade, "_GROUP", 3 * FRAME)
  results.append(aspade.batched(audio, LEVEL, **SIZES, threads=2))
  for restored, counts in results:
    np.testing.assert_array_equal(counts, iterations)
    np.testing.assert_allclose(restored, expected, atol=1e-11)


def test_a_limit_of_iterations(audio):
  """Every coefficient is kept at last: r (N / 2 + 1) / s iterations."""
  sizes = SIZES | {"epsilon": 0.0, "s": 3}
  expected, counts = aspade.frame_by_frame(audio, LEVEL, **sizes)
  assert counts.max() == 44
  restored, others = aspade.batched(audio, LEVEL, **sizes)
  np.testing.assert_array_equal(others, counts)
  np.testing.assert_allclose(restored, expected, atol=1e-11)


def test_single_precision_and_some_frames_only(audio):
  expected, every = aspade.frame_by_frame(audio, LEVEL, **SIZES)
  single, _ = aspade.batched(audio, LEVEL, **SIZES, dtype=np.dtype("f4"))
  assert single.dtype == np.float32
  assert np.sum((single - expected) ** 2) < 1e-3 * np.sum(expected**2)
  _, some = aspade.frame_by_frame(audio, LEVEL, **SIZES, max_frames=4)
  assert np.count_nonzero(some) == 4
  np.testing.assert_array_equal(some[some > 0], every[some > 0])
