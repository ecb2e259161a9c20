"""The log-mel front end against plain loops, and its Fréchet distance."""

import logging
import math

import numpy as np
import pytest

from distortion_removal.metrics.fad import log_mel

RATE = 16_000
RNG = np.random.default_rng(0)


def noise(seconds, batch=1, channels=1):
  shape = (batch, round(seconds * RATE), channels)
  return RNG.uniform(-0.5, 0.5, shape).astype(np.float32)


def mel(frequency_hz):
  return 1127 * math.log(1 + frequency_hz / 700)


def plain_frame(samples):
  """Log-mel bands of 400 samples, straight from the definition."""
  windowed = [
    x * (0.5 - 0.5 * math.cos(2 * math.pi * i / 400))
    for i, x in enumerate(samples)
  ]
  edges = [mel(125) + b * (mel(7500) - mel(125)) / 65 for b in range(66)]
  bands = [0.0] * 64
  for k in range(1, 257):
    angles = -2j * np.pi * k * np.arange(400) / 512
    magnitude = abs(np.sum(windowed * np.exp(angles)))
    at = mel(k * 16_000 / 512)
    for b in range(64):
      low, centre, high = edges[b : b + 3]
      if low < at <= centre:
        bands[b] += magnitude * (at - low) / (centre - low)
      elif centre < at < high:
        bands[b] += magnitude * (high - at) / (high - centre)
  return [math.log(band + 0.01) for band in bands]


def test_frames_are_those_of_the_definition():
  signal = noise(0.1)[0, :, 0].astype(np.float64)
  found = log_mel.log_mel(signal)
  # 1600 samples hold frames from 0, 160, ..., 1120; the last would end later.
  assert found.shape == (8, 64)
  for frame in (0, 3, 7):
    start = 160 * frame
    np.testing.assert_allclose(
      found[frame], plain_frame(signal[start : start + 400]), atol=1e-10
    )


def test_resampled_audio_has_the_same_patches():
  direct, found = (
    log_mel.patches(
      0.5 * np.sin(2_000 * np.pi * np.arange(2 * rate) / rate)[None, :, None],
      sample_rate=rate,
    )
    for rate in (RATE, 44_100)
  )
  # At its ends, resampled audio rings.
  np.testing.assert_allclose(found[:, 2:-2], direct[:, 2:-2], atol=0.03)


def test_channels_are_averaged():
  audio = noise(1.0, batch=2, channels=2)
  found = log_mel.patches(audio, sample_rate=RATE)
  mono = log_mel.patches(audio.mean(axis=2, keepdims=True), sample_rate=RATE)
  np.testing.assert_allclose(found, mono, atol=1e-5)


@pytest.mark.parametrize(
  ("samples", "hop_frames", "span", "starts"),
  [
    (15_599, 96, 15_600, []),
    (15_600, 96, 15_600, [0]),
    (30_959, 96, 15_600, [0]),
    (30_960, 96, 15_600, [0, 15_360]),
    (15_999, 50, 16_000, []),
    (32_000, 50, 16_000, [0, 8_000, 16_000]),
  ],
)
def test_where_patches_are(samples, hop_frames, span, starts):
  audio = noise(samples / RATE, batch=2)
  found = log_mel.patches(
    audio, sample_rate=RATE, hop_frames=hop_frames, span=span
  )
  assert found.shape == (2 * len(starts), 96, 64)
  assert found.dtype == np.float32
  expected = [
    log_mel.log_mel(item[start : start + 15_600].astype(np.float64))
    for item in audio[:, :, 0]
    for start in starts
  ]
  if starts:
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_normalising_takes_out_a_gain_of_at_most_20_db():
  def cut(audio):
    return log_mel.patches(audio, sample_rate=RATE, peak_normalised=True)

  audio = noise(1.0)
  audio[0, 100] = 0.8
  np.testing.assert_allclose(cut(0.25 * audio), cut(audio), atol=1e-5)
  full = log_mel.patches(audio / np.float32(0.8), sample_rate=RATE)
  np.testing.assert_allclose(cut(audio), full, atol=1e-5)
  quiet = log_mel.patches(10 * (audio / 1_000), sample_rate=RATE)
  np.testing.assert_allclose(cut(audio / 1_000), quiet, atol=1e-5)
  # The largest sample counts, not the largest magnitude.
  audio[0, 200] = -1.0
  np.testing.assert_allclose(cut(audio)[:, 10:], full[:, 10:], atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e39])
def test_what_is_not_finite_is_left_out_aloud(bad, caplog):
  audio = noise(1.0, batch=3).astype(np.float64)
  audio[1, 5] = bad
  with caplog.at_level(logging.WARNING):
    found = log_mel.patches(audio, sample_rate=RATE)
  np.testing.assert_array_equal(
    found, log_mel.patches(audio[::2], sample_rate=RATE)
  )
  assert "1 of 3 recordings hold NaN or infinite samples" in caplog.text


@pytest.mark.parametrize(("samples", "rate"), [(0, 44_100), (399, 16_000)])
def test_too_short_for_a_frame(samples, rate):
  audio = np.zeros((2, samples, 1), np.float32)
  found = log_mel.patches(audio, sample_rate=rate, peak_normalised=True)
  assert found.shape == (0, 96, 64)
  assert log_mel.embed(audio, sample_rate=rate).shape == (0, 128)
  assert np.isnan(log_mel.frechet_logmel(audio, audio, sample_rate=rate))


def test_embedding_is_mean_and_deviation():
  audio = noise(2.0)
  audio[0, 16_000:] *= 0.1
  found = log_mel.embed(audio, sample_rate=RATE)
  assert found.shape == (2, 128)
  signal = audio[0, :, 0].astype(np.float64)
  for window, start in zip(found, (0, 15_360), strict=True):
    frames = log_mel.log_mel(signal[start : start + 15_600])
    np.testing.assert_allclose(window[:64], frames.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(window[64:], frames.std(axis=0), atol=1e-6)


def test_a_gain_shifts_the_mean_alone():
  audio = 1_000 * noise(2.0, batch=2)
  found = log_mel.frechet_logmel(2 * audio, audio, sample_rate=RATE)
  assert (found.shape, found.dtype) == ((1,), np.float64)
  # So loud that the offset of 0.01 does not count.
  assert found == pytest.approx(64 * math.log(2) ** 2, rel=1e-3)
