"""The oracle mask against NumPy, frame by frame, and in closed form."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.evaluation import baselines
from distortion_removal.evaluation import ideal_ratio_mask as module
from distortion_removal.evaluation.ideal_ratio_mask import ideal_ratio_mask

FRAME, HOP = 1024, 256


def signals(shape):
  """A hard-clipped signal and the clean one."""
  rng = np.random.default_rng(0)
  clean = rng.standard_normal(shape).astype(np.float32)
  return np.clip(2 * clean, -1, 1), clean


def by_frames(degraded, clean):
  """One channel, one frame at a time, in float64."""
  window = scipy.signal.get_window("hann", FRAME)
  degraded, clean = (
    np.pad(np.float64(x), FRAME // 2, "reflect") for x in (degraded, clean)
  )
  total, norm = np.zeros_like(degraded), np.zeros_like(degraded)
  for start in range(0, len(degraded) - FRAME + 1, HOP):
    frame = slice(start, start + FRAME)
    x, s = (np.fft.rfft(window * signal[frame]) for signal in (degraded, clean))
    total[frame] += window * np.fft.irfft(abs(s) / abs(x) * x)
    norm[frame] += window**2
  kept = slice(FRAME // 2, -(FRAME // 2))
  return total[kept] / norm[kept]


def test_equals_frame_by_frame():
  degraded, clean = signals((2, 3000, 2))
  function = baselines.get("ideal_ratio_mask").function
  found = function(degraded, clean, task=None, sample_rate=16_000)
  assert (found.shape, found.dtype) == (degraded.shape, np.float32)
  for item in range(2):
    for channel in range(2):
      expected = by_frames(degraded[item, :, channel], clean[item, :, channel])
      np.testing.assert_allclose(found[item, :, channel], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 2, 2), (1, 300, 1)])
def test_clean_input_comes_back(shape):
  _, clean = signals(shape)
  found = ideal_ratio_mask(clean, clean)
  np.testing.assert_allclose(found, clean, atol=1e-5)


@pytest.mark.parametrize("gain", [0.01, -3.0])
def test_a_gain_in_closed_form(gain):
  """The phase is the degraded signal's."""
  _, clean = signals((2, 3000, 2))
  found = ideal_ratio_mask(np.float32(gain) * clean, clean)
  np.testing.assert_allclose(found, np.sign(gain) * clean, atol=2e-5)


def test_silence_stays_silent():
  """Also frames that hold none of the degraded signal."""
  degraded, clean = signals((1, 4096, 1))
  silence = np.zeros_like(clean)
  for pair in [(silence, clean), (clean, silence), (silence, silence)]:
    np.testing.assert_array_equal(ideal_ratio_mask(*pair), 0)
  degraded[:, :2048] = 0
  found = ideal_ratio_mask(degraded, clean)
  np.testing.assert_array_equal(found[:, : 2048 - FRAME], 0)
  assert np.abs(found[:, 2048:]).max() > 0.5


@pytest.mark.e2e
def test_recordings_of_many_lengths_take_few_programs():
  before = module._masked._cache_size()
  lengths = (*range(630, 6000, 371), 6143, 6144)
  for i, length in enumerate(lengths):
    degraded, clean = signals((5 + i % 9, length, 1))
    found = ideal_ratio_mask(degraded, clean)
    last = len(found) - 1
    expected = by_frames(degraded[last, :, 0], clean[last, :, 0])
    np.testing.assert_allclose(found[last, :, 0], expected, atol=5e-5)
  # 1024, 2048, 3072, 4096, 5120 and 6144 samples.
  assert module._masked._cache_size() - before == 6


def test_shapes_that_differ_are_refused():
  degraded, clean = signals((1, 300, 1))
  with pytest.raises(ValueError, match=r"\(1, 300, 1\).*\(1, 299, 1\)"):
    ideal_ratio_mask(degraded, clean[:, 1:])
