"""Reliable samples are put back without steps."""

import numpy as np
import pytest

from distortion_removal.declipping.crossfading import put_reliable_back


def test_a_fade_by_hand():
  """Two samples have sin² of 30° and 60° next to a clipped one, then 1."""
  signs = np.array([0, 0, 0, 0, 1, -1, 0, 0, 0, 1, 0])
  weight = [1, 1, 0.75, 0.25, 0, 0, 0.25, 0.75, 0.25, 0, 0.25]
  signs, one = signs[None, :, None], np.ones((1, 11, 1), np.float32)
  result = put_reliable_back(3 * one, one, signs, 2)
  assert result.dtype == np.float32
  np.testing.assert_allclose(result[0, :, 0], 3 - 2 * np.array(weight), 1e-6)


@pytest.mark.parametrize("length", [0, 1, 5, 100])
def test_fades_equal_a_loop(length):
  rng = np.random.default_rng(length)
  signs = rng.choice([-1, 0, 0, 0, 0, 0, 0, 0, 1], (2, 60, 2)).astype(np.int8)
  signs[1, :, 1] = 0  # nothing clipped: nothing is faded
  restored, audio = rng.normal(size=(2, 2, 60, 2))
  weight = np.empty_like(audio)
  for i, t, c in np.ndindex(*audio.shape):
    clipped = np.flatnonzero(signs[i, :, c])
    distance = min(abs(clipped - t), default=np.inf)
    phase = min(distance / (length + 1), 1) * np.pi
    weight[i, t, c] = (1 - np.cos(phase)) / 2
  expected = weight * audio + (1 - weight) * restored
  result = put_reliable_back(restored, audio, signs, length)
  np.testing.assert_allclose(result, expected, atol=1e-12)
  # These to the bit.
  for exact, source in ((weight == 0, restored), (weight == 1, audio)):
    np.testing.assert_array_equal(result[exact], source[exact])
