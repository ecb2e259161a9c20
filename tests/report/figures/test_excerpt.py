"""Spectrograms of an excerpt: which, in what order, on what scale."""

import dataclasses

import numpy as np
import pytest
from made_results import RATE, make_results

from distortion_removal.audio import files
from distortion_removal.report.figures import excerpt
from distortion_removal.report.results import Sound
from distortion_removal.report.spectrogram import spectrogram

METHODS = ("distorted", "demucs", "umx", "ideal_ratio_mask")
SI_SDR_DB = {"distorted": -3.0, "demucs": 9.0, "umx": 12.0}


def _make(folder, methods=METHODS, scores=None):
  scores = {"ideal_ratio_mask": 20.0} | SI_SDR_DB | (scores or {})
  columns = {m: np.full((2, 3), scores[m]) for m in methods}
  for column in columns.values():
    column[1] = -50.0  # of another excerpt
    column[0, 0] = -40.0  # of another level
  return make_results(
    folder,
    methods=methods,
    files=2,
    levels=(20.0, 35.0, 50.0),
    metric_names=("si_sdr",),
    scores={"si_sdr": columns},
    heard=1,
    seconds=1.0,
  )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  return _make(tmp_path_factory.mktemp("run"))


def _titles(figure):
  found = [axis.get_title(loc="left") for axis in figure.axes]
  return [title for title in found if title]


def _audio(results, method, level=None):
  (sound,) = [
    s for s in results.sounds if (s.method, s.level) == (method, level)
  ]
  samples, _ = files.read(sound.path)
  return sound.scale * samples[:, 0]


def test_panels_are_in_order_with_the_scores_of_the_excerpt(results):
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
  assert figure.axes[0].get_ylabel() == "frequency / kHz"
  assert figure.axes[3].get_xlabel() == "time / s"


def test_what_is_drawn_is_the_sound_below_the_targets_peak(results):
  figure = excerpt.draw(results)
  target = _audio(results, "clean")
  peak_db = spectrogram(target, RATE).level_db.max()
  umx = _audio(results, "umx", 35.0)
  expected = {1: target, 3: umx, 5: umx - target}
  for panel, signal in expected.items():
    (image,) = figure.axes[panel].get_images()
    level_db = spectrogram(signal, RATE).level_db - peak_db
    np.testing.assert_allclose(image.get_array(), level_db, atol=1e-6)
    assert image.get_clim() == (-80.0, 0.0)
    assert figure.axes[panel].get_xlim() == (0.0, 1.0)
    assert figure.axes[panel].get_ylim() == (0.0, 8.0)


def test_methods_without_a_score_have_no_number_and_no_residual(tmp_path):
  """And names that shorten alike have a panel each."""
  names = [f"demucs (a_long_{i}_folder_of_a_run)" for i in "ab"]
  methods = ("distorted", *names, "ideal_ratio_mask")
  scores = dict.fromkeys(methods, np.nan)
  titles = _titles(excerpt.draw(_make(tmp_path, methods, scores)))
  assert titles[1] == "target"
  assert titles[2:] == 2 * ["Demucs (a_…of_a_run)"] + ["ideal ratio mask"]


def test_without_sounds_or_their_target_there_is_no_figure(results):
  rest = tuple(s for s in results.sounds if s.method != "clean")
  assert excerpt.draw(dataclasses.replace(results, sounds=rest)) is None
  assert excerpt.draw(dataclasses.replace(results, sounds=())) is None


def test_the_oracle_is_the_best_if_it_is_alone(results):
  alone = ("clean", "distorted", "ideal_ratio_mask")
  rest = tuple(s for s in results.sounds if s.method in alone)
  figure = excerpt.draw(dataclasses.replace(results, sounds=rest))
  assert _titles(figure)[-1] == "residual of ideal ratio mask"


@pytest.mark.parametrize("seconds", [0.01, 12.0])
def test_short_silent_and_long_stereo_sounds(results, tmp_path, seconds):
  silence = np.zeros((round(seconds * 8_000), 2), np.float32)
  sounds = []
  for method in ("clean", "distorted"):
    path = tmp_path / f"{method}.flac"
    files.write(path, silence, 8_000)
    sounds.append(Sound("elsewhere", method, 35.0, path, 1.0))
  figure = excerpt.draw(dataclasses.replace(results, sounds=tuple(sounds)))
  figure.draw_without_rendering()
  assert _titles(figure) == ["distorted", "target"]
  (image,) = figure.axes[1].get_images()
  np.testing.assert_allclose(image.get_array(), image.get_clim()[0])  # black
  assert figure.axes[0].get_xlim()[1] <= 10.0
