"""The benchmark's A-SPADEs against the paper's steps, and each other."""

import numpy as np
import pytest

from experiments.benchmarks.peers import aspade

FRAME, HOP, LEVEL = 64, 16, 0.5
OPTIONS = {"redundancy": 2, "s": 1, "r": 2, "epsilon": 0.05}


def clipped_signal(length=700, seed=0):
  rng = np.random.default_rng(seed)
  time = np.arange(length)
  clean = 0.8 * np.sin(0.21 * time) + 0.4 * np.sin(0.5 * time + 1.0)
  clean = (clean + 0.02 * rng.standard_normal(length)) * (time < 500)
  return np.clip(clean, -LEVEL, LEVEL)


def definition(y, sign):
  """One frame, with the whole DFT, whose conjugate pairs are kept together."""
  size, r = OPTIONS["redundancy"] * FRAME, OPTIONS["r"]
  half = np.arange(size // 2 + 1)
  x, u, k, counter = y, np.zeros(size), OPTIONS["s"], 1
  best, least = x, np.inf
  while counter <= len(half) * r // OPTIONS["s"]:
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
      k += OPTIONS["s"]
  return best, counter - 1


def by_definition(audio):
  """All frames centred on multiples of HOP that overlap the signal."""
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
  padded = np.pad(audio, FRAME)
  total, weight, iterations = np.zeros_like(padded), np.zeros_like(padded), []
  for centre in range(-FRAME, len(audio) + FRAME, HOP):
    start = centre - FRAME // 2
    if start + FRAME <= 0 or start >= len(audio):
      continue
    inside = slice(FRAME + start, FRAME + start + FRAME)
    y = window * padded[inside]
    sign = np.sign(padded[inside]) * (np.abs(padded[inside]) >= LEVEL)
    x, updates = definition(y, sign) if sign.any() else (y, 0)
    iterations.append(updates)
    total[inside] += window * x
    weight[inside] += window**2
  inside = slice(FRAME, FRAME + len(audio))
  return total[inside] / weight[inside], iterations


def test_both_equal_the_definition():
  audio = clipped_signal()
  expected, iterations = by_definition(audio)
  assert max(iterations) > 10
  assert iterations.count(0) > 5
  arguments = (audio, LEVEL)
  sizes = {"frame": FRAME, "hop": HOP, **OPTIONS}
  for restored, counts in (
    aspade.frame_by_frame(*arguments, **sizes),
    aspade.batched(*arguments, **sizes),
    aspade.batched(*arguments, **sizes, threads=2, workers=2),
  ):
    np.testing.assert_array_equal(counts, iterations)
    np.testing.assert_allclose(restored, expected, atol=1e-11)


def test_groups_do_not_matter(monkeypatch):
  audio = clipped_signal()
  sizes = {"frame": FRAME, "hop": HOP, **OPTIONS}
  expected, counts = aspade.batched(audio, LEVEL, **sizes)
  monkeypatch.setattr(aspade, "_GROUP", 3 * FRAME)
  restored, others = aspade.batched(audio, LEVEL, **sizes, threads=2)
  np.testing.assert_array_equal(others, counts)
  np.testing.assert_allclose(restored, expected, atol=1e-12)


def test_a_limit_of_iterations():
  """Every coefficient is kept at last: r (N / 2 + 1) / s iterations."""
  audio = clipped_signal()
  sizes = {"frame": FRAME, "hop": HOP, **OPTIONS, "epsilon": 0.0, "s": 3}
  expected, counts = aspade.frame_by_frame(audio, LEVEL, **sizes)
  assert counts.max() == 44
  restored, others = aspade.batched(audio, LEVEL, **sizes)
  np.testing.assert_array_equal(others, counts)
  np.testing.assert_allclose(restored, expected, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_is_kept(dtype):
  audio = clipped_signal()
  sizes = {"frame": FRAME, "hop": HOP, **OPTIONS}
  expected, _ = aspade.frame_by_frame(audio, LEVEL, **sizes)
  restored, _ = aspade.batched(audio, LEVEL, **sizes, dtype=dtype)
  assert restored.dtype == dtype
  error = np.sum((restored - expected) ** 2) / np.sum(expected**2)
  assert 10 * np.log10(error) < (-30 if dtype == np.float32 else -200)


def test_some_frames_only():
  audio = clipped_signal()
  sizes = {"frame": FRAME, "hop": HOP, **OPTIONS}
  _, every = aspade.frame_by_frame(audio, LEVEL, **sizes)
  _, some = aspade.frame_by_frame(audio, LEVEL, **sizes, max_frames=4)
  assert np.count_nonzero(some) == 4
  np.testing.assert_array_equal(some[some > 0], every[some > 0])
