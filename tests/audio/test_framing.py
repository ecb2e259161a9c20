"""Frames against slices, and their adding up against a loop."""

import jax
import numpy as np
import pytest

from distortion_removal.audio.framing import overlap_add, split_frames

RNG = np.random.default_rng(0)
SIZES = [(6, 6), (8, 4), (12, 3), (7, 3), (3, 5), (36, 1)]


@pytest.mark.parametrize(("size", "hop"), SIZES)
def test_frames_are_slices(size, hop):
  signal = RNG.standard_normal((2, 3, 36)).astype(np.float32)
  starts = range(0, 36 - size + 1, hop)
  expected = np.stack([signal[..., s : s + size] for s in starts], -2)
  np.testing.assert_array_equal(split_frames(signal, size, hop), expected)


@pytest.mark.parametrize(("size", "hop"), SIZES)
def test_overlap_add_is_their_transpose(size, hop):
  count = (36 - size) // hop + 1
  frames = RNG.standard_normal((2, count, size)).astype(np.float32)
  expected = np.zeros((2, (count - 1) * hop + size))
  for i in range(count):
    expected[:, i * hop : i * hop + size] += frames[:, i]
  added = overlap_add(frames, hop)
  assert isinstance(added, np.ndarray)
  np.testing.assert_allclose(added, expected, atol=1e-5)
  added = jax.jit(overlap_add, static_argnums=1)(frames, hop)
  np.testing.assert_allclose(added, expected, atol=1e-5)
