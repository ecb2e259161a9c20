"""Weighted l1 minimisation against the iteration written out in NumPy."""

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.parabola import _solve, parabola
from experiments.benchmarks.peers import declippers

FRAME, HOP = 32, 8
TIME = 8 * FRAME - 3
SMALL = {"frame": FRAME, "hop": HOP, "iterations": 30, "precision": "float64"}


def tones(shape=(1, TIME, 1), seed=0):
  """Three sines in each channel, peak about 1."""
  rng = np.random.default_rng(seed)
  batch, time, channels = shape
  pitch = rng.uniform(0.02, 0.15, (3, batch, 1, channels))
  phase = 2 * np.pi * pitch * np.arange(time)[:, None] + rng.uniform(0, 6)
  return np.tensordot([0.5, 0.3, 0.2], np.sin(phase), 1)


def analysis(signal, frame, hop, size):
  """All frequencies of a circular signal's frames, `[frames, size]`."""
  n = np.arange(frame)
  window = np.sin(np.pi * n / frame) ** 2
  window /= np.sqrt(sum(np.roll(window, k) ** 2 for k in range(0, frame, hop)))
  starts = range(0, len(signal), hop)
  frames = [window * signal[(start + n) % len(signal)] for start in starts]
  return np.fft.fft(frames, size) / np.sqrt(size)


def snr_db(estimate, target):
  error = np.float64(estimate) - target
  return 10 * np.log10(np.sum(target**2) / np.sum(error**2))


@pytest.mark.parametrize("step", [1.0, 10.0])
def test_equals_the_iteration_written_out(step):
  audio = np.clip(3 * tones(), -0.9, 1.4)
  options = SMALL | {"step": step}
  restored, info = parabola(audio, (-0.9, 1.4), **options)
  padded = np.pad(audio[0, :, 0], (0, 3))  # whole hops
  expected = declippers.parabola(
    padded, (-0.9, 1.4), frame=FRAME, hop=HOP, iterations=30, step=step
  )[:TIME]
  np.testing.assert_allclose(restored[0, :, 0], expected, atol=1e-12)
  assert info.segments == 1
  assert abs(restored - audio).max() > 0.1
  single, _ = parabola(audio, (-0.9, 1.4), **options | {"precision": "float32"})
  assert snr_db(single, restored) > 100


def test_the_result_minimises_the_weighted_sum():
  """No step within the bounds lowers it, at the end of many iterations."""
  clean = tones()
  audio = np.clip(clean, -0.5, 0.5)
  restored, _ = parabola(audio, 0.5, **SMALL | {"iterations": 3000})
  weight = np.minimum(np.arange(2 * FRAME), 2 * FRAME - np.arange(2 * FRAME))

  def cost(x):
    padded = np.pad(x[0, :, 0], (0, FRAME + 3))
    spectrum = analysis(padded, FRAME, HOP, 2 * FRAME)
    return np.sum((weight / FRAME) ** 2 * abs(spectrum))

  best, rng = cost(restored), np.random.default_rng(1)
  for size in (1e-3, 1e-2, 0.1):
    for _ in range(20):
      step = size * rng.standard_normal(audio.shape)
      moved = restored + np.where(abs(audio) == 0.5, step, 0)
      inside = abs(moved) >= 0.5
      moved = np.where(inside & (moved * audio > 0), moved, audio)
      moved = np.where(abs(audio) == 0.5, moved, audio)
      assert cost(moved) > best - 1e-6
  assert cost(clean) > best


def test_a_batch_is_its_channels_one_by_one():
  audio = np.clip(tones((2, 70 * FRAME, 2)), -0.5, 0.5)
  audio[1, :, 1] *= 0.9  # not clipped, given the level
  options = SMALL | {"iterations": 5}
  together, info = parabola(audio, 0.5, **options)
  assert info.segments == 9  # of three channels
  assert info.rails.high.shape == (2, 2)
  for item, channel in np.ndindex(2, 2):
    alone = audio[item, :, channel][None, :, None]
    restored, _ = parabola(alone, 0.5, **options)
    np.testing.assert_array_equal(restored[0, :, 0], together[item, :, channel])


@pytest.mark.e2e
def test_comes_nearer_to_the_clean_signal():
  clean = tones((1, 4000, 1), seed=1)
  audio = np.clip(clean, -0.35, 0.35).astype(np.float32)
  restored, _ = parabola(audio, frame=256, hop=64, iterations=200)
  assert restored.dtype == np.float32
  assert snr_db(restored, clean) > snr_db(audio, clean) + 15


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"hop": 12}, "hop 12"),
    ({"iterations": 0}, "iterations must"),
    ({"precision": "float16"}, "'float16'"),
  ],
)
def test_mistakes_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    parabola(np.zeros((1, 0, 1)), 0.5, **(SMALL | options))


def test_short_recordings_share_a_program():
  before = _solve._cache_size()
  for time in range(FRAME, 17 * FRAME, 2 * FRAME):
    audio = np.clip(3 * tones((1, time, 1)), -0.9, 0.9)
    parabola(audio, 0.9, **SMALL)
  assert _solve._cache_size() <= before + 1
