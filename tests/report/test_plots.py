"""Plots: what is drawn and how it is labelled, not the pixels."""

import numpy as np
import pytest

from distortion_removal.report import plots

SCORES = {
  "distorted": {50.0: [1.0, 2.0, 9.0], 20.0: [7.0, 8.0, np.nan]},
  "demucs": {20.0: [10.0], 50.0: [5.0]},
}


def test_score_by_level():
  figure = plots.score_by_level(
    SCORES, level_label="gain / dB", score_label="SI-SDR / dB ↑"
  )
  (axis,) = figure.axes
  assert axis.get_xlabel() == "gain / dB"
  assert axis.get_ylabel() == "SI-SDR / dB ↑"
  labels = [text.get_text() for text in axis.get_legend().get_texts()]
  assert labels == ["distorted", "demucs"]
  distorted, demucs = axis.get_lines()
  np.testing.assert_array_equal(distorted.get_xdata(), [20.0, 50.0])
  np.testing.assert_array_equal(distorted.get_ydata(), [7.5, 2.0])
  np.testing.assert_array_equal(demucs.get_ydata(), [10.0, 5.0])
  assert distorted.get_linestyle() == "--"
  assert demucs.get_linestyle() == "-"
  assert distorted.get_color() != demucs.get_color()
  # The band spans the quartiles: of 1, 2 and 9 they are 1.5 and 5.5.
  corners = axis.collections[0].get_paths()[0].vertices
  heights = corners[corners[:, 0] == 50.0, 1]
  assert (heights.min(), heights.max()) == (1.5, 5.5)


def test_all_levels_together_are_not_a_point():
  scores = {"distorted": {50.0: [9.0], None: [5.0], 20.0: [3.0]}}
  figure = plots.score_by_level(scores, level_label="x", score_label="y")
  (line,) = figure.axes[0].get_lines()
  np.testing.assert_array_equal(line.get_xydata(), [[20, 3], [50, 9]])


@pytest.mark.parametrize("count", [1, 3])
def test_spectrogram_strip(count):
  rate, pitch_hz = 8_000, 1_000.0
  tone = np.sin(2 * np.pi * pitch_hz * np.arange(rate) / rate)[:, None]
  sounds = {f"version {i}": (i + 1) * tone for i in range(count)}
  figure = plots.spectrogram_strip(sounds, rate)
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
  figure = plots.spectrogram_strip({"silence": silence}, 8_000)
  (image,) = figure.axes[0].get_images()
  low, _ = image.get_clim()
  np.testing.assert_allclose(image.get_array(), low)  # black
