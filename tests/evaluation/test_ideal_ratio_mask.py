"""The oracle masks against NumPy, frame by frame, and in closed form."""

import numpy as np
import pytest
import scipy.signal

from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.evaluation import baselines
from distortion_removal.evaluation import ideal_ratio_mask as masks
from distortion_removal.evaluation.ideal_ratio_mask import ideal_ratio_mask

VARIANTS = ("unclipped", "clipped", "power")


def signals(shape, seed=0):
  """A hard-clipped signal and the clean one."""
  rng = np.random.default_rng(seed)
  clean = rng.standard_normal(shape).astype(np.float32)
  return np.clip(2 * clean, -1, 1), clean


def mask_in_float64(variant, degraded, clean):
  if variant == "power":
    return abs(clean) ** 2 / (abs(clean) ** 2 + abs(degraded - clean) ** 2)
  ratio = abs(clean) / abs(degraded)
  return ratio.clip(max=1) if variant == "clipped" else ratio


def by_frames(variant, degraded, clean, size, hop):
  """One channel, one frame at a time, in float64."""
  window = scipy.signal.get_window("hann", size)
  degraded, clean = (
    np.pad(np.float64(x), size // 2, "reflect") for x in (degraded, clean)
  )
  total, norm = np.zeros_like(degraded), np.zeros_like(degraded)
  for start in range(0, len(degraded) - size + 1, hop):
    frame = slice(start, start + size)
    x, s = (np.fft.rfft(window * signal[frame]) for signal in (degraded, clean))
    masked = np.fft.irfft(mask_in_float64(variant, x, s) * x)
    total[frame] += window * masked
    norm[frame] += window**2
  kept = slice(size // 2, -(size // 2))
  return total[kept] / norm[kept]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
  ("shape", "size", "hop"),
  [((2, 3000, 2), 1024, 256), ((1, 700, 1), 256, 64)],
)
def test_equals_frame_by_frame(variant, shape, size, hop):
  degraded, clean = signals(shape)
  found = ideal_ratio_mask(degraded, clean, variant=variant, size=size, hop=hop)
  assert found.shape == shape
  assert found.dtype == np.float32
  for item in range(shape[0]):
    for channel in range(shape[2]):
      expected = by_frames(
        variant, degraded[item, :, channel], clean[item, :, channel], size, hop
      )
      np.testing.assert_allclose(found[item, :, channel], expected, atol=1e-5)


def test_equals_scipy():
  """The default is the paper's, from SciPy's own transform and inverse."""
  degraded, clean = signals((1, 256 * 12, 1))
  options = {"window": "hann", "nperseg": 1024, "noverlap": 768}
  x, s = (
    scipy.signal.stft(
      np.pad(np.float64(signal[0, :, 0]), 512, "reflect"),
      boundary=None,
      padded=False,
      **options,
    )[2]
    for signal in (degraded, clean)
  )
  _, expected = scipy.signal.istft(abs(s) / abs(x) * x, **options)
  found = ideal_ratio_mask(degraded, clean)[0, :, 0]
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 2, 2), (1, 300, 1)])
def test_clean_input_comes_back(variant, shape):
  _, clean = signals(shape)
  found = ideal_ratio_mask(clean, clean, variant=variant)
  np.testing.assert_allclose(found, clean, atol=1e-5)


@pytest.mark.parametrize(
  ("variant", "gain", "expected"),
  [
    ("unclipped", 0.01, 1.0),
    ("unclipped", -3.0, -1.0),  # the phase is the degraded signal's
    ("clipped", 0.25, 0.25),  # a mask of 4 is held at 1
    ("clipped", 4.0, 1.0),
    ("power", 3.0, 3.0 / 5.0),  # 1 / (1 + 4) times the gain
    ("power", 0.5, 0.5 / 1.25),
  ],
)
def test_a_gain_in_closed_form(variant, gain, expected):
  _, clean = signals((1, 3000, 2))
  degraded = np.float32(gain) * clean
  found = ideal_ratio_mask(degraded, clean, variant=variant)
  np.testing.assert_allclose(found, expected * clean, atol=2e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_silence_stays_silent(variant):
  _, clean = signals((1, 3000, 1))
  silence = np.zeros_like(clean)
  for pair in [(silence, clean), (clean, silence), (silence, silence)]:
    found = ideal_ratio_mask(*pair, variant=variant)
    np.testing.assert_array_equal(found, 0)


def test_a_silent_start_stays_silent():
  """Frames that hold none of the degraded signal give none."""
  degraded, clean = signals((1, 4096, 1))
  degraded[:, :2048] = 0
  found = ideal_ratio_mask(degraded, clean)
  np.testing.assert_array_equal(found[:, : 2048 - 1024], 0)
  assert np.abs(found[:, 2048:]).max() > 0.5


def test_recordings_of_many_lengths_take_few_programs():
  """As many as there are buffers, whatever comes beside each other."""
  before = masks._masked._cache_size()
  lengths = (*range(30, 6000, 371), 6143, 6144)
  for i, length in enumerate(lengths):
    degraded, clean = signals((5 + i % 9, length, 1))
    options = {"size": 256, "hop": 64}
    found = ideal_ratio_mask(degraded, clean, **options)
    last = len(found) - 1
    expected = by_frames(
      "unclipped", degraded[last, :, 0], clean[last, :, 0], **options
    )
    np.testing.assert_allclose(found[last, :, 0], expected, atol=5e-5)
  # 1024, 2048, 3072, 4096, 5120 and 6144 samples.
  assert masks._masked._cache_size() - before == 6


def test_mistakes_are_refused():
  degraded, clean = signals((1, 300, 1))
  with pytest.raises(UserError, match=r"'hard'.*clipped, power, unclipped"):
    ideal_ratio_mask(degraded, clean, variant="hard")
  with pytest.raises(ValueError, match=r"\(1, 300, 1\).*\(1, 299, 1\)"):
    ideal_ratio_mask(degraded, clean[:, 1:])


def test_by_name():
  degraded, clean = signals((1, 3000, 1))
  found = baselines.get("ideal_ratio_mask").function(
    degraded, clean, task=tasks.get("overdrive"), sample_rate=16_000
  )
  np.testing.assert_array_equal(found, ideal_ratio_mask(degraded, clean))
  with pytest.raises(UserError, match=r"baseline 'irm'.*ideal_ratio_mask"):
    baselines.get("irm")
