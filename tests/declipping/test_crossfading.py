"""Reliable samples are put back without steps."""

import numpy as np
import pytest

from distortion_removal.declipping.crossfading import put_reliable_back


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
  single = put_reliable_back(np.float32(restored), audio, signs, length)
  assert single.dtype == np.float32
