"""Whitened correlations against ones written out, and by hand."""

import numpy as np
import pytest

from distortion_removal.audio import whitened


def _direct(clean, output, start, length, lag, reach):
  """A transform by its definition, all lags one by one, and their RMS."""
  taper = np.sin(np.pi * np.arange(1, length + 1) / (length + 1))[:, None] ** 2
  size = length + reach
  turn = -2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size
  spectra = [
    np.exp(turn[:, :length]) @ (taper * part)
    for part in (
      output[start + lag : start + lag + length],
      clean[start : start + length],
    )
  ]
  cross = np.sum(spectra[0] * spectra[1].conj(), axis=1)
  # The mean is over the half of the transform that real signals need.
  floor = 0.01 * np.abs(cross[: size // 2 + 1]).mean()
  curve = np.exp(-turn) @ (cross / (np.abs(cross) + floor))
  curve = curve.real / np.sqrt(np.mean(curve.real**2))
  return np.concatenate([curve[-reach:], curve[: reach + 1]])


@pytest.mark.parametrize("lag", [0, 20, -10])
def test_curves_equal_those_written_out(lag):
  rng = np.random.default_rng(0)
  clean = rng.standard_normal((300, 2))
  output = np.roll(clean, 25, axis=0) + 0.3 * rng.standard_normal((300, 2))
  (found,) = whitened.correlate(clean, output, np.array([60]), 200, lag, 50)
  expected = _direct(clean, output, 60, 200, lag, 50)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert found.argmax() == 50 + 25 - lag


def test_heights_are_in_multiples_of_the_rms():
  """All lags of a part against itself: a single one, of sqrt(size)."""
  impulse = np.zeros((99, 1), np.float32)
  impulse[49] = 1.0
  (found,) = whitened.correlate(impulse, impulse, np.array([0]), 99, 0, 21)
  expected = np.zeros(43)
  expected[21] = np.sqrt(120)
  np.testing.assert_allclose(found, expected, atol=1e-3)


def test_silent_parts_are_zero_and_the_others_as_if_alone():
  rng = np.random.default_rng(0)
  clean = np.zeros((400, 1))
  clean[200:] = rng.standard_normal((200, 1))
  found = whitened.correlate(clean, -clean, np.array([0, 200]), 200, 0, 30)
  np.testing.assert_array_equal(found[0], 0.0)
  assert np.abs(found[1]).argmax() == 30
  assert found[1, 30] < -10


def test_parts_are_spread_evenly_and_overlap_by_half_at_most():
  assert whitened.starts(100, 100, 9).tolist() == [0]
  assert whitened.starts(149, 100, 9).tolist() == [0]
  assert whitened.starts(150, 100, 9).tolist() == [0, 50]
  assert whitened.starts(1_000, 100, 4).tolist() == [0, 300, 600, 900]


def test_peaks_and_rivals_by_hand():
  """At 8 kHz the slopes of a peak are four samples."""
  curve = np.zeros(41)
  curve[[22, 26, 27, 35]] = [9.0, 8.0, 4.0, 3.0]
  assert whitened.peak(curve) == (2, 9.0)
  assert whitened.rival(curve, 2, 8_000) == (7, 4.0)
  assert whitened.rival(curve, 2, 16_000) == (15, 3.0)
