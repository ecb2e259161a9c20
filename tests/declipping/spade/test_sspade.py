"""S-SPADE against its steps written out, and against A-SPADE."""

import numpy as np
from distortion_removal.declipping.spade.aspade import aspade
from distortion_removal.declipping.spade.sspade import sspade

FRAME, HOP, LEVEL, EPSILON = 64, 16, 0.4, 0.1


def clipped(length=400):
  time = np.arange(length)
  clean = 0.8 * np.sin(0.21 * time) + 0.4 * np.sin(0.5 * time + 1.0)
  return np.clip(clean, -LEVEL, LEVEL)


def written_out(audio, redundancy):
  """The steps of the paper's algorithm, with matrices."""
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
  size = redundancy * FRAME
  analysis = np.fft.fft(np.eye(size))[:, :FRAME] / np.sqrt(size)
  synthesis = analysis.conj().T
  padded = np.pad(audio, 2 * FRAME)
  total, weight, counts = np.zeros_like(padded), np.zeros_like(padded), []
  for start in range(FRAME + HOP, len(audio) + 2 * FRAME, HOP):
    inside = slice(start, start + FRAME)
    sample = padded[inside]
    frame, count = _declip(sample * window, sample, analysis, synthesis)
    total[inside] += window * frame
    weight[inside] += window**2
    counts.append(count)
  inside = slice(2 * FRAME, -2 * FRAME)
  return total[inside] / weight[inside], counts


def _declip(y, sample, analysis, synthesis):
  size = len(analysis)
  if not np.any(np.abs(sample) >= LEVEL):
    return y, 0
  c, u, k = analysis @ y, np.zeros(size), 1
  for count in range(size // 2 + 1):
    magnitude = np.abs(c + u)[: size // 2 + 1] * 1.0
    magnitude[0] /= 2
    kept = np.zeros(size, bool)
    for index in np.argsort(magnitude)[-k:]:
      kept[[index, -index]] = True
    z = np.where(kept, c + u, 0.0)
    if np.linalg.norm(c - z) <= EPSILON:
      return (synthesis @ c).real, count
    x = (synthesis @ (z - u)).real
    consistent = np.where(sample >= LEVEL, np.maximum(x, y), y)
    consistent = np.where(sample <= -LEVEL, np.minimum(x, y), consistent)
    c = z - u + analysis @ (consistent - x)
    u = u + c - z
    k += 1
  raise AssertionError("the case should converge")


def test_equals_the_steps_written_out():
  audio = clipped()
  expected, counts = written_out(audio, redundancy=2)
  restored, info = sspade(
    audio[None, :, None], LEVEL, frame=FRAME, hop=HOP, precision="float64"
  )
  np.testing.assert_allclose(restored[0, :, 0], expected, atol=1e-11)
  np.testing.assert_array_equal(info.iterations[0, 0], np.roll(counts, -1))
  assert max(counts) > 5


def test_is_another_result_than_aspade_where_there_is_redundancy():
  audio = clipped()[None, :, None]
  options = {"frame": FRAME, "hop": HOP, "precision": "float64"}
  synthesis, _ = sspade(audio, LEVEL, **options)
  analysis, _ = aspade(audio, LEVEL, **options)
  assert np.max(np.abs(synthesis - analysis)) > 0.01


def test_is_aspade_without_redundancy():
  audio = clipped()[None, :, None]
  options = {"frame": FRAME, "hop": HOP, "precision": "float64"}
  synthesis, _ = sspade(audio, LEVEL, redundancy=1, **options)
  analysis, _ = aspade(audio, LEVEL, redundancy=1, **options)
  np.testing.assert_allclose(synthesis, analysis, atol=1e-12)
