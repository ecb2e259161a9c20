"""Spectrograms: what is drawn and how it is labelled, not the pixels."""

import numpy as np
import pytest

from distortion_removal.report.spectrogram import spectrogram_strip


@pytest.mark.parametrize("count", [1, 3])
def test_spectrogram_strip(count):
  rate, pitch_hz = 8_000, 1_000.0
  tone = np.sin(2 * np.pi * pitch_hz * np.arange(rate) / rate)[:, None]
  sounds = {f"version {i}": (i + 1) * tone for i in range(count)}
  figure = spectrogram_strip(sounds, rate)
  assert [a.get_title(loc="left") for a in figure.axes] == list(sounds)
  assert figure.axes[-1].get_xlabel() == "time / s"
  for axis in figure.axes:
    assert axis.get_ylabel() == "kHz"
    (image,) = axis.get_images()
    assert (*axis.get_xlim(), *axis.get_ylim()) == (0, 1.0, 0, 4.0)
    _, _, bottom, top = image.get_extent()
    levels = image.get_array()
    # The brightest row lies at the tone, on the axis as drawn.
    row = np.argmax(levels.mean(axis=1)) + 0.5
    pitch_khz = bottom + row / len(levels) * (top - bottom)
    assert pitch_khz == pytest.approx(pitch_hz / 1000, abs=1e-3)
    # Each on its own scale.
    assert levels.max() == 0.0
    assert image.get_clim() == (-80.0, 0.0)


def test_audio_shorter_than_a_window_and_silence_can_be_drawn():
  silence = np.zeros((100, 2), np.float32)
  figure = spectrogram_strip({"silence": silence}, 8_000)
  (image,) = figure.axes[0].get_images()
  low, _ = image.get_clim()
  np.testing.assert_allclose(image.get_array(), low)  # black
