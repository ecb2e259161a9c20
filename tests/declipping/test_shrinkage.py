"""The shrinkage operators against loops over the whole spectrum."""

import jax
import numpy as np
import pytest

from distortion_removal.declipping.social_sparsity.shrinkage import Shrinkage


def by_loops(operator, neighbourhood, whole, threshold):
  """Shrinks `[frames, size]`, one coefficient after the other."""
  bins, frames = (n // 2 for n in neighbourhood)
  if operator in ("lasso", "ew"):
    bins = frames = 0
  result = np.zeros_like(whole)
  for t, f in np.ndindex(whole.shape):
    energy = sum(
      abs(whole[u, g % whole.shape[1]]) ** 2
      for u in range(max(0, t - frames), min(len(whole), t + frames + 1))
      for g in range(f - bins, f + bins + 1)
    )
    if energy:
      ratio = threshold / np.sqrt(energy)
      loss = ratio if operator in ("lasso", "wgl") else ratio**2
      result[t, f] = whole[t, f] * max(0, 1 - loss)
  return result


@pytest.mark.parametrize("operator", ["lasso", "wgl", "ew", "pew"])
@pytest.mark.parametrize("neighbourhood", [(3, 7), (5, 1)])
def test_equals_loops(operator, neighbourhood):
  # The spectrum of a real signal.
  whole = np.fft.fft(np.random.default_rng(0).standard_normal((10, 16)))
  whole[3:5, 2] = whole[3:5, -2] = 0
  count = np.prod(neighbourhood) if operator in ("wgl", "pew") else 1
  threshold = np.sqrt(count * np.mean(abs(whole) ** 2))
  expected = by_loops(operator, neighbourhood, whole, threshold)[:, :9]
  with jax.enable_x64(True):
    shrink = jax.jit(lambda c: Shrinkage(operator, neighbourhood)(c, threshold))
    found = shrink(whole[:, :9])
  np.testing.assert_allclose(found, expected, atol=1e-12)
  assert 0.1 < np.mean(np.asarray(found) == 0) < 0.9
