"""The benchmark's A-SPADEs against the paper's steps, and each other."""

import numpy as np
import pytest
from frame_after_frame import FRAME, HOP, frame_after_frame

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


def definition(y, sign):
  """One frame, with the whole DFT, whose conjugate pairs are kept together."""
  size, r, s = OPTIONS["redundancy"] * FRAME, OPTIONS["r"], OPTIONS["s"]
  half = np.arange(size // 2 + 1)
  x, u, k, counter = y, np.zeros(size), s, 1
  best, least = x, np.inf
  while counter <= len(half) * r // s:
    spectrum = np.fft.fft(x, size) / np.sqrt(size)
    wanted = spectrum + u
    magnitude = np.abs(wanted[half]) * np.where(half == 0, 0.5, 1.0)
    z = np.zeros(size, complex)
    for index in sorted(half, key=lambda i: -magnitude[i])[:k]:
      z[index], z[-index] = wanted[index], wanted[-index]
    distance = np.linalg.norm(spectrum - z)
    if distance <= least:
      best, least = x, distance
    if distance <= OPTIONS["epsilon"]:
      break
    x = np.fft.ifft(z - u).real[:FRAME] * np.sqrt(size)
    x[sign > 0] = np.maximum(x, y)[sign > 0]
    x[sign < 0] = np.minimum(x, y)[sign < 0]
    x[sign == 0] = y[sign == 0]
    u = u + np.fft.fft(x, size) / np.sqrt(size) - z
    counter += 1
    if counter % r == 0:
      k += s
  return best, counter - 1


def test_both_equal_the_definition(audio, monkeypatch):
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
