"""Loudness against the values that ITU-R BS.1770-4 itself states."""

import numpy as np
import pytest

from distortion_removal.metrics.loudness import (
  integrated_loudness,
  normalise_loudness,
)

RATE = 48_000


def _sine(peak, seconds=5.0, channels=1, rate=RATE):
  time = np.arange(round(seconds * rate)) / rate
  tone = peak * np.sin(2 * np.pi * 997.0 * time)
  return np.repeat(tone[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(
  ("channels", "peak", "lufs"),
  [
    (1, 1.0, -3.01),  # the standard's own sentence on 997 Hz at full scale
    (2, 1.0, 0.0),
    (1, 0.1, -23.01),
    (2, 10 ** (-23 / 20), -23.0),  # EBU Tech 3341, case 1
    (2, 10 ** (-33 / 20), -33.0),  # EBU Tech 3341, case 2
  ],
)
def test_sines_of_the_standard(channels, peak, lufs):
  audio = _sine(peak, channels=channels)
  measured = integrated_loudness(audio, sample_rate=RATE)
  assert abs(measured - lufs) < 0.1


def test_quiet_passages_are_gated_out():
  """EBU Tech 3341, case 3: -36, -23 and -36 dBFS of 10, 60, 10 s are -23."""
  parts = [
    _sine(10 ** (-36 / 20), 10.0, 2),
    _sine(10 ** (-23 / 20), 60.0, 2),
    _sine(10 ** (-36 / 20), 10.0, 2),
  ]
  measured = integrated_loudness(np.concatenate(parts), sample_rate=RATE)
  assert abs(measured + 23.0) < 0.1


def test_silence_and_what_is_shorter_than_a_block_have_none():
  assert integrated_loudness(_sine(0.0), sample_rate=RATE) == -np.inf
  assert integrated_loudness(_sine(0.5, 0.3), sample_rate=RATE) == -np.inf
  for audio in (_sine(0.0), _sine(0.5, 0.3)):
    same, limited = normalise_loudness(
      audio, sample_rate=RATE, loudness_lufs=-19.0
    )
    np.testing.assert_array_equal(same, audio)
    assert not limited


def test_normalising_scales_to_the_loudness():
  audio = _sine(0.01)
  scaled, limited = normalise_loudness(
    audio, sample_rate=RATE, loudness_lufs=-19.0
  )
  assert not limited
  measured = integrated_loudness(scaled, sample_rate=RATE)
  assert abs(measured + 19.0) < 0.01
  np.testing.assert_allclose(
    scaled / scaled.max(), audio / audio.max(), atol=1e-6
  )


def test_the_peak_stays_below_full_scale():
  audio = _sine(0.01)
  audio[1_000] = 0.5
  scaled, limited = normalise_loudness(
    audio, sample_rate=RATE, loudness_lufs=-19.0
  )
  assert limited
  np.testing.assert_allclose(scaled[1_000], 0.99, rtol=1e-6)
