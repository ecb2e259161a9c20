"""Spectrograms of an excerpt: which, in what order, on what scale."""

import dataclasses

import numpy as np
import pytest
from made_results import RATE, make_results

from distortion_removal.audio import files
from distortion_removal.report.figures import excerpt
from distortion_removal.report.results import Sound
from distortion_removal.report.spectrogram import spectrogram

SI_SDR_DB = dict(distorted=-3.0, demucs=9.0, umx=12.0, ideal_ratio_mask=20.0)


def _make(folder, scores):
  # At another level -40 dB, of another excerpt -50 dB.
  columns = {
    m: np.array([[-40.0, x, x], [-50.0] * 3]) for m, x in scores.items()
  }
  return make_results(
    folder,
    methods=tuple(scores),
    files=2,
    levels=(20.0, 35.0, 50.0),
    metric_names=("si_sdr",),
    scores={"si_sdr": columns},
    heard=1,
    seconds=1.0,
  )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  return _make(tmp_path_factory.mktemp("run"), SI_SDR_DB)


def _titles(figure):
  found = [axis.get_title(loc="left") for axis in figure.axes]
  return [title for title in found if title]


def test_panels_have_scores_and_sounds_below_the_targets_peak(results):
  figure = excerpt.draw(results)
  assert _titles(figure) == [
    "distorted, \N{MINUS SIGN}3.0 dB",
    "target",
    "Demucs, 9.0 dB",
    "UMX, 12.0 dB",
    "ideal ratio mask, 20.0 dB",
    "residual of UMX",  # the mask is an oracle
  ]
  title = figure.get_suptitle()
  assert title.startswith("CEG-OD, ceg: test/0.wav at gain 35 dB")
  audio = {
    (sound.method, sound.level): sound.scale * files.read(sound.path)[0][:, 0]
    for sound in results.sounds
  }
  target, umx = audio["clean", None], audio["umx", 35.0]
  peak_db = spectrogram(target, RATE).level_db.max()
  for panel, signal in {1: target, 3: umx, 5: umx - target}.items():
    axis = figure.axes[panel]
    (image,) = axis.get_images()
    level_db = spectrogram(signal, RATE).level_db - peak_db
    np.testing.assert_allclose(image.get_array(), level_db, atol=1e-6)
    assert image.get_clim() == (-80.0, 0.0)
    assert (*axis.get_xlim(), *axis.get_ylim()) == (0.0, 1.0, 0.0, 8.0)


def test_methods_without_a_score_have_no_number_and_no_residual(tmp_path):
  """And names that shorten alike have a panel each."""
  names = [f"demucs (a_long_{i}_folder_of_a_run)" for i in "ab"]
  scores = dict.fromkeys(("distorted", *names, "ideal_ratio_mask"), np.nan)
  results = _make(tmp_path, scores)
  titles = _titles(excerpt.draw(results))
  assert titles[2:] == 2 * ["Demucs (a_…of_a_run)"] + ["ideal ratio mask"]


def _only(results, *methods):
  sounds = tuple(s for s in results.sounds if s.method in methods)
  return dataclasses.replace(results, sounds=sounds)


def test_sounds_that_are_lacking(results):
  assert excerpt.draw(_only(results)) is None
  assert excerpt.draw(_only(results, *SI_SDR_DB)) is None  # no target
  # An oracle is the best if it is alone.
  figure = excerpt.draw(_only(results, "clean", "ideal_ratio_mask"))
  assert _titles(figure)[-1] == "residual of ideal ratio mask"


@pytest.mark.parametrize("seconds", [0.01, 12.0])
def test_short_silent_and_long_stereo_sounds(results, tmp_path, seconds):
  path = tmp_path / "silence.flac"
  files.write(path, np.zeros((round(seconds * 8_000), 2), np.float32), 8_000)
  methods = ("clean", "distorted")
  sounds = tuple(Sound("elsewhere", m, 35.0, path, 1.0) for m in methods)
  figure = excerpt.draw(dataclasses.replace(results, sounds=sounds))
  figure.draw_without_rendering()
  assert _titles(figure) == ["distorted", "target"]
  (image,) = figure.axes[1].get_images()
  np.testing.assert_allclose(image.get_array(), image.get_clim()[0])  # black
  assert figure.axes[0].get_xlim()[1] <= 10.0
