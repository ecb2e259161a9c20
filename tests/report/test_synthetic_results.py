"""The made-up results that other tests use are such as evaluation leaves."""

import numpy as np
from synthetic_results import METHODS, make_results

from distortion_removal.audio import files


def test_scores_are_those_asked_for_and_plausible_otherwise():
  wanted = np.array([[1.0, 2.0], [np.nan, 4.0]])
  results = make_results(
    files=2, levels=(30.0, 20.0), scores={"si_sdr": {"demucs": wanted}}
  )
  assert results.methods == METHODS
  assert results.levels == (20.0, 30.0)
  found = results.scores("si_sdr")
  np.testing.assert_array_equal(found["demucs"], wanted)
  assert (found["distorted"] < found["wave_unet"]).all()
  systems = results.system_scores("fad")
  assert list(systems["distorted"]) == [20.0, 30.0, None]
  assert systems["demucs"][None] < systems["distorted"][None]


def test_sounds_can_be_read(tmp_path):
  results = make_results(methods=("distorted",), sounds_folder=tmp_path)
  assert {s.method for s in results.sounds} == {"clean", "distorted"}
  target = next(s for s in results.sounds if s.method == "clean")
  assert target.level is None
  audio, rate = files.read(target.path)
  assert rate == results.sample_rate == len(audio)
  np.testing.assert_allclose(np.abs(audio * target.scale).max(), 0.5, rtol=1e-4)
