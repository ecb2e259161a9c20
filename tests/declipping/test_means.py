"""Means over frame lengths: of what, and what they keep."""

import inspect

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.declipping import DECLIPPERS, declipper
from distortion_removal.declipping.means import with_means


def double(audio, clip_level=None, *, frame=8, hop=2, gain=1.0):
  """Returns clipped samples by a gain of 1 + frame, and what it was given."""
  restored = np.where(audio >= clip_level, (gain + frame) * audio, audio)
  return restored, (frame, hop)


def test_the_mean_over_frames_with_hops_in_proportion():
  audio = np.float32([0.1, 0.5, 0.3])
  mean = with_means(double)
  found, infos = mean(audio, 0.5, frames=(8, 12, 40), gain=3.0)
  assert infos == [(8, 2), (12, 3), (40, 10)]
  np.testing.assert_allclose(found[1], 0.5 * (3 + 20), rtol=1e-6)
  np.testing.assert_array_equal(found[[0, 2]], audio[[0, 2]])
  _, infos = mean(audio, 0.5, frames=(8, 16), frame=6, hop=3)
  assert infos == [(8, 4), (16, 8)]
  assert mean(audio, 0.5, frame=4)[1] == (4, 2)


@pytest.mark.parametrize("name", DECLIPPERS)
def test_every_declipper_can(name):
  parameters = inspect.signature(declipper(name)).parameters
  assert parameters["frames"].default == ()
  empty = np.zeros((1, 0, 1), np.float32)
  found, infos = declipper(name)(empty, 0.5, frames=(512, 1024))
  assert (found.shape, len(infos)) == ((1, 0, 1), 2)
  with pytest.raises(UserError, match="frame"):
    declipper(name)(empty, 0.5, frames=(512, 3))


def test_consistent_results_have_a_consistent_mean():
  rng = np.random.default_rng(0)
  audio = np.clip(rng.standard_normal((1, 300, 1)), -0.5, 0.5)
  options = {"frames": (16, 32, 24), "precision": "float64", "iterations": 3}
  mean, _ = declipper("parabola")(audio, 0.5, **options)
  del options["frames"]
  members = [
    declipper("parabola")(audio, 0.5, **options, frame=frame, hop=frame // 4)[0]
    for frame in (16, 32, 24)
  ]
  np.testing.assert_allclose(mean, np.mean(members, axis=0), atol=1e-15)
  is_clipped = abs(audio) == 0.5
  np.testing.assert_array_equal(mean[~is_clipped], audio[~is_clipped])
  assert np.all(abs(mean[is_clipped]) >= 0.5)
