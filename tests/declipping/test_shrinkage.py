"""The shrinkage operators against loops over the whole spectrum."""

import jax
import numpy as np
import pytest
from distortion_removal.declipping.shrinkage import Shrinkage

from distortion_removal.common.errors import UserError


def spectrum_of_a_real_signal(frames, size, seed=0):
  noise = np.random.default_rng(seed).standard_normal((frames, size))
  return np.fft.fft(noise)


def gain(operator, energy, threshold):
  if energy == 0:
    return 0
  ratio = threshold / np.sqrt(energy)
  return max(0, 1 - (ratio if operator in ("lasso", "wgl") else ratio**2))


def by_loops(operator, neighbourhood, whole, threshold):
  """`[frames, size]`, all frequencies, one coefficient at a time."""
  if operator in ("lasso", "ew"):
    neighbourhood = (1, 1)
  bins, frames = (n // 2 for n in neighbourhood)
  result = np.zeros_like(whole)
  for t, f in np.ndindex(whole.shape):
    energy = sum(
      abs(whole[u, g % whole.shape[1]]) ** 2
      for u in range(max(0, t - frames), min(len(whole), t + frames + 1))
      for g in range(f - bins, f + bins + 1)
    )
    result[t, f] = whole[t, f] * gain(operator, energy, threshold)
  return result


@pytest.mark.parametrize("operator", ["lasso", "wgl", "ew", "pew"])
@pytest.mark.parametrize("neighbourhood", [(3, 7), (5, 1)])
def test_equals_loops(operator, neighbourhood):
  whole = spectrum_of_a_real_signal(10, 16)
  whole[3:5, 2] = whole[3:5, -2] = 0
  energy = np.mean(abs(whole) ** 2)
  is_social = operator in ("wgl", "pew")
  threshold = np.sqrt(
    energy * (neighbourhood[0] * neighbourhood[1]) ** is_social
  )
  expected = by_loops(operator, neighbourhood, whole, threshold)
  expected = expected[:, :9]
  with jax.enable_x64(True):
    shrink = jax.jit(lambda c: Shrinkage(operator, neighbourhood)(c, threshold))
    found = shrink(whole[:, :9])
  np.testing.assert_allclose(found, expected, atol=1e-12)
  assert 0.1 < np.mean(np.asarray(found) == 0) < 0.9


def test_a_lonely_coefficient_goes_and_one_in_company_stays():
  """PEW keeps what EW loses where the neighbours carry it."""
  spectrum = np.zeros((9, 9), np.complex64)
  spectrum[4, 4] = 1
  assert not np.any(Shrinkage("pew")(spectrum, 1.5))
  spectrum[1:8, 4] = 1
  kept = Shrinkage("pew")(spectrum, 1.5)
  np.testing.assert_allclose(kept[4, 4], 1 - 1.5**2 / 7, rtol=1e-6)
  assert not np.any(Shrinkage("ew")(spectrum, 1.5))


@pytest.mark.parametrize(
  ("shrinkage", "message"),
  [
    (Shrinkage("hard"), r"shrinkage 'hard'.*ew, lasso, pew, wgl"),
    (Shrinkage("pew", (2, 7)), r"\(2, 7\)"),
    (Shrinkage("pew", (3, -1)), r"\(3, -1\)"),
    (Shrinkage("pew", (3,)), r"\(3,\)"),
  ],
)
def test_mistakes_are_refused(shrinkage, message):
  with pytest.raises(UserError, match=message):
    shrinkage.check()
