"""Spectrograms: what is drawn and how it is labelled, not the pixels."""

import numpy as np
import pytest

from distortion_removal.report.spectrogram import spectrogram_strip


def test_spectrogram_strip():
  rate, pitch_hz = 8_000, 1_000.0
  tone = np.sin(2 * np.pi * pitch_hz * np.arange(rate) / rate)[:, None]
  silence = np.zeros((100, 2), np.float32)  # shorter than a window
  figure = spectrogram_strip({"a": tone, "b": 2 * tone, "c": silence}, rate)
  assert [a.get_title(loc="left") for a in figure.axes] == ["a", "b", "c"]
  images = [axis.get_images()[0] for axis in figure.axes]
  for axis, image in zip(figure.axes[:2], images, strict=False):
    assert axis.get_ylim() == (0, 4.0)
    _, _, bottom, top = image.get_extent()
    levels = image.get_array()
    # The brightest row lies at the tone, on the axis as drawn.
    row = np.argmax(levels.mean(axis=1)) + 0.5
    pitch_khz = bottom + row / len(levels) * (top - bottom)
    assert pitch_khz == pytest.approx(pitch_hz / 1000, abs=1e-3)
    # Each on its own scale.
    assert levels.max() == 0.0
    assert image.get_clim() == (-80.0, 0.0)
  np.testing.assert_allclose(images[2].get_array(), -80.0)  # black
