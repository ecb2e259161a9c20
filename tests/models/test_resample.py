"""Sampling-rate conversion: analytic signals, and julius where installed."""

import jax
import numpy as np
import pytest

from distortion_removal.models import resample

upsample, downsample = map(jax.jit, (resample.upsample, resample.downsample))


def sine(frequency, sample_rate, length):
  """`[1, length, 2]`, an octave apart, starting at time 0."""
  time = np.arange(length)[:, None] / sample_rate
  signal = np.sin(2 * np.pi * frequency * np.array([1, 2]) * time + 0.3)
  return signal.astype(np.float32)[None]


def test_upsample_interpolates_a_sine():
  up = upsample(sine(440, 8000, 800))
  inner = slice(100, -100)
  expected = sine(440, 16000, 1600)
  np.testing.assert_allclose(up[:, inner], expected[:, inner], atol=1e-4)


def test_downsample_decimates_a_sine_and_removes_what_would_alias():
  inner = slice(60, -60)
  low, high = sine(440, 16000, 1600), sine(5000, 16000, 1600)
  down = downsample(low + high)
  expected = sine(440, 8000, 800)
  np.testing.assert_allclose(down[:, inner], expected[:, inner], atol=2e-4)


def test_a_constant_stays_one_up_to_the_edges():
  constant = np.full((1, 40, 1), 0.7, np.float32)
  for output, length in ((upsample(constant), 80), (downsample(constant), 20)):
    np.testing.assert_allclose(output, np.full((1, length, 1), 0.7), 1e-6)


@pytest.mark.e2e
@pytest.mark.parametrize("length", [1, 2, 101, 1000])
def test_julius_agrees(length):
  torch = pytest.importorskip("torch", reason="PyTorch is not installed")
  julius = pytest.importorskip("julius", reason="julius is not installed")
  rng = np.random.default_rng(length)
  audio = rng.uniform(-1, 1, (2, length, 2)).astype(np.float32)
  signals = torch.from_numpy(audio).swapaxes(1, 2)
  up = julius.resample_frac(signals, 1, 2).swapaxes(1, 2).numpy()
  np.testing.assert_allclose(upsample(audio), up, atol=1e-6)
  down = julius.resample_frac(signals, 2, 1).swapaxes(1, 2).numpy()
  np.testing.assert_allclose(downsample(audio), down, atol=1e-6)
