"""The low-rank model and its iteration against NumPy; what it promises."""

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.declipping.gabor import Gabor, largest_coefficient
from distortion_removal.declipping.nmf import (
  CUT,
  _order,
  _solve,
  nmf,
)
from distortion_removal.declipping.segments import Cut
from experiments.benchmarks.peers import declippers

FRAME, HOP = 32, 8
TIME = 16 * FRAME  # whole segments: the rank follows their length
SMALL = {
  "frame": FRAME,
  "hop": HOP,
  "rank": 5,
  "iterations": 8,
  "precision": "float64",
}


def tones(shape=(1, TIME, 1), seed=0):
  """Three sines in each channel, of the same pitches, peak about 1."""
  rng = np.random.default_rng(seed)
  batch, time, channels = shape
  pitch = rng.uniform(0.02, 0.15, (3, batch, 1, 1))
  gain = rng.uniform(0.2, 0.5, (3, batch, 1, channels))
  phase = 2 * np.pi * pitch * np.arange(time)[:, None]
  return np.sum(gain * np.sin(phase + rng.uniform(0, 6, gain.shape)), axis=0)


def written_out(item, rails, rank, count, frame=FRAME):
  sizes = {"frame": frame, "hop": frame // 4}
  return declippers.nmf(item, rails, **sizes, rank=rank, iterations=count)


def snr_db(estimate, target):
  error = np.float64(estimate) - target
  return 10 * np.log10(np.sum(target**2) / np.sum(error**2))


@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_iteration_written_out(channels):
  audio = np.clip(3 * tones((1, TIME, channels)), -0.9, 1.2)
  restored, info = nmf(audio, (-0.9, 1.2), **SMALL)
  expected = written_out(audio[0], (-0.9, 1.2), 5, 8)
  np.testing.assert_allclose(restored[0], expected, atol=1e-9)
  assert info.segments == 1
  assert abs(restored - audio).max() > 0.1


def test_few_frames_have_few_templates():
  """Three for each ten, of all channels."""
  audio = np.clip(tones(), -0.5, 0.5)
  options = SMALL | {"rank": 1000}
  restored, _ = nmf(audio, 0.5, **options)
  expected = written_out(audio[0], (-0.5, 0.5), 1000, 8)
  np.testing.assert_allclose(restored[0], expected, atol=1e-9)


@pytest.mark.e2e
def test_short_recordings_share_programs_and_padding_changes_nothing():
  """With as many frames and templates as they have of their own."""
  options = SMALL | {"rank": 1000}
  before = _solve._cache_size()
  for frames in (2, 4, 6, 10, 12, 14):
    audio = np.clip(2 * tones((1, frames * FRAME, 2), seed=frames), -0.5, 0.5)
    restored, _ = nmf(audio, 0.5, **options)
    expected = written_out(audio[0], (-0.5, 0.5), 1000, 8)
    np.testing.assert_allclose(restored[0], expected, atol=1e-9)
  # For all of the frames, and for quarters of them.
  assert _solve._cache_size() - before <= 4
  for frames in (18, 20, 22):
    audio = np.clip(2 * tones((1, frames * FRAME, 2), seed=frames), -0.5, 0.5)
    nmf(audio, 0.5, **options)
  assert _solve._cache_size() - before <= 6


@pytest.mark.parametrize("channels", [1, 2])
def test_only_frames_with_a_clipped_sample_are_transformed(channels):
  """To the same result: the others' coefficients stay what they are."""
  loud = np.zeros((TIME, 1))
  loud[200:206] = loud[300:330] = 1  # samples that may be beyond the rails
  audio = tones((1, TIME, channels))
  audio = np.where(loud, np.clip(5 * audio, -0.5, 0.5), 0.4 * audio)
  restored, _ = nmf(audio, 0.5, **SMALL | {"iterations": 20})
  expected = written_out(audio[0], (-0.5, 0.5), 5, 20)
  np.testing.assert_allclose(restored[0], expected, atol=1e-9)
  assert abs(restored - audio).max() > 0.01
  order, count = _order(loud[:, 0] > 0, Gabor(FRAME, HOP, 1), 8)
  starts = np.arange(HOP - FRAME, TIME, HOP)
  needed = [
    i for i, k in enumerate(starts) if loud[max(k, 0) : k + FRAME].any()
  ]
  assert sorted(order) == list(range(len(starts)))
  assert list(order[: len(needed)]) == needed
  assert (len(needed), count, len(starts)) == (12, 18, 67)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_clipped_samples_are_at_the_rails_or_beyond(precision):
  audio = np.clip(tones((2, TIME, 2)), -0.3, 0.4).astype(np.float32)
  audio[0, :, 1] *= 0.5  # not clipped: its rails are not reached
  low, high = np.float32([-0.3, 0.4])
  options = SMALL | {"precision": precision}
  restored, _ = nmf(audio, (low, high), **options)
  assert restored.dtype == precision
  is_high, is_low = audio == high, audio == low
  assert np.all(restored[is_high] >= high)
  assert np.all(restored[is_low] <= low)
  is_reliable = ~is_high & ~is_low
  np.testing.assert_array_equal(restored[is_reliable], audio[is_reliable])
  assert np.any(restored > 1.1 * high)


@pytest.mark.e2e
def test_single_precision_comes_as_near():
  clean = tones((1, TIME, 2))
  audio = np.clip(clean, -0.3, 0.3)
  options = SMALL | {"iterations": 200}
  double, _ = nmf(audio, 0.3, **options)
  single, _ = nmf(audio, 0.3, **options | {"precision": "float32"})
  assert snr_db(single, double) > snr_db(double, clean) + 20
  assert snr_db(double, clean) > snr_db(audio, clean) + 10


def test_the_result_scales_with_the_audio_and_knows_no_neighbour():
  audio = np.clip(tones((2, TIME, 2)), -0.4, 0.5)
  together, _ = nmf(audio, (-0.4, 0.5), **SMALL)
  alone, _ = nmf(audio[:1], (-0.4, 0.5), **SMALL)
  np.testing.assert_array_equal(together[:1], alone)
  scaled, _ = nmf(8 * audio, (-3.2, 4.0), **SMALL)
  np.testing.assert_allclose(scaled, 8 * together, atol=1e-9)


def test_mono_stays_mono():
  audio = np.clip(tones((1, TIME, 1)), -0.4, 0.5).astype(np.float32)
  options = SMALL | {"precision": "float32"}
  mono, _ = nmf(audio, **options)
  stereo, _ = nmf(np.repeat(audio, 2, axis=2), **options)
  np.testing.assert_array_equal(stereo[..., 0], stereo[..., 1])
  # Thresholds are relative to both channels' power, twice that of one.
  assert snr_db(stereo[..., :1], mono) > 20


def test_chunks_share_the_whole_recordings_largest_coefficient():
  audio = np.random.default_rng(0).standard_normal((500, 2))
  rails = Rails(np.array([[-2.0, -np.inf]]), np.array([[1.0, np.inf]]))
  blocks = np.split(audio, [3, 50, 51, 300])
  found = largest_coefficient(blocks, rails, FRAME, HOP)
  window = declippers.tight_window(FRAME, HOP)
  spectra = np.array(
    [
      declippers.analysis(np.pad(c, (0, 4)) / 2, window, HOP, FRAME)
      for c in audio.T
    ]
  )
  expected = np.sqrt((abs(spectra) ** 2).sum(axis=0).max())
  np.testing.assert_allclose(found, expected, rtol=1e-12)
  clipped = np.clip(tones(), -0.5, 0.5)
  given, _ = nmf(clipped, 0.5, **SMALL, largest={FRAME: found})
  other, _ = nmf(clipped, 0.5, **SMALL)
  assert np.any(given != other)


def test_long_recordings_are_cut_evenly_and_joined_without_a_trace():
  clean = tones((1, 250 * FRAME, 1))
  clean[:, : 20 * FRAME] *= 0.1  # within the rails
  audio = np.clip(clean, -0.5, 0.5)
  options = SMALL | {"iterations": 100, "rank": 8, "precision": "float32"}
  restored, info = nmf(audio, 0.5, **options)
  assert info.segments == 3
  np.testing.assert_array_equal(
    restored[:, : 19 * FRAME], audio[:, : 19 * FRAME]
  )
  error = (restored - clean)[0, :, 0] ** 2
  cut = Cut(*(FRAME * length for length in CUT)).evenly(250 * FRAME)
  for start, _ in cut.spans(250 * FRAME)[1:]:
    seam = error[start : start + cut.shared]
    assert np.mean(seam) < 2 * np.mean(error[20 * FRAME :])


def test_audio_that_is_not_clipped_comes_back():
  for time in (0, 1, 300):
    for audio in (tones((1, time, 1)), np.zeros((2, time, 2))):
      restored, info = nmf(audio, **SMALL)
      np.testing.assert_array_equal(restored, audio)
      assert info.segments == 0


def test_silence_around_a_clipped_burst():
  """Powers over all that float32 holds, and many templates without a use."""
  audio = np.zeros((1, TIME, 2), np.float32)
  audio[0, 200:240, 0] = np.clip(np.sin(np.arange(40)), -0.5, 0.5)
  audio[0, 300:, 0] = 1e-12
  options = SMALL | {"precision": "float32", "rank": 1000, "iterations": 50}
  restored, _ = nmf(audio, 0.5, **options)
  is_clipped = abs(audio) == 0.5
  np.testing.assert_array_equal(restored[~is_clipped], audio[~is_clipped])
  peaks = abs(restored[is_clipped])
  assert np.all((peaks >= 0.5) & (peaks < 1.5))


def test_all_samples_at_the_rails():
  steps = np.where(np.sin(np.arange(TIME) / 5) > 0, 0.5, -0.5)
  for signal in (steps, np.full(TIME, 0.5), np.full(1, -0.5)):
    restored, _ = nmf(signal[None, :, None], 0.5, **SMALL)
    excess = restored[0, :, 0] * np.sign(signal) - 0.5
    assert np.all((excess >= 0) & (excess < 5))


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"hop": 12}, "hop 12"),
    ({"rank": 0}, "rank must"),
    ({"iterations": 0}, "iterations must"),
    ({"thresholds": (1e-4, 1e-1)}, "thresholds"),
    ({"precision": "float16"}, "'float16'"),
  ],
)
def test_mistakes_are_refused(options, message):
  with pytest.raises(UserError, match=message):
    nmf(np.zeros((1, 0, 1)), 0.5, **(SMALL | options))
