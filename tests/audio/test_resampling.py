"""Resampling against sines, whose samples at any rate are known."""

import numpy as np
import pytest

from distortion_removal.audio import resampling

RATES = [(8_000, 16_000), (44_100, 16_000), (192_000, 16_000), (16_000, 48_000)]


def sine(rate, samples, frequency_hz=440.0):
  wave = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / rate)
  return np.stack([wave, -wave], axis=1).astype(np.float32)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_sine_keeps_frequency_level_and_phase(rate_in, rate_out):
  result = resampling.resample(sine(rate_in, 2 * rate_in), rate_in, rate_out)
  assert result.shape == (2 * rate_out, 2)
  assert result.dtype == np.float32
  inner = slice(rate_out // 10, -rate_out // 10)  # not the onset's ringing
  expected = sine(rate_out, 2 * rate_out)
  np.testing.assert_allclose(result[inner], expected[inner], atol=1e-6)


def test_what_the_lower_rate_cannot_hold_is_gone():
  audio = sine(44_100, 44_100, frequency_hz=10_000.0)
  result = resampling.resample(audio, 44_100, 16_000)
  assert np.abs(result[1_600:-1_600]).max() < 1e-6


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_blocks_equal_the_whole(rate_in, rate_out):
  """Of other memory layouts, too."""
  audio = np.random.default_rng(0).standard_normal((2, rate_in + 17))
  audio = audio.astype(np.float32).T[:, ::-1]
  blocks = np.array_split(audio, [1, 400, 5_000])
  pieces = list(resampling.resample_blocks(blocks, rate_in, rate_out))
  whole = resampling.resample(audio.copy(), rate_in, rate_out)
  np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_equal_rates_change_nothing():
  audio = sine(16_000, 100)
  assert resampling.resample(audio, 16_000, 16_000) is audio
  assert list(resampling.resample_blocks([audio], 16_000, 16_000)) == [audio]
  assert list(resampling.resample_blocks([], 8_000, 16_000)) == []
