"""The benchmark's loops against ours: three inverses of one formula."""

import jax
import numpy as np
from overdriven import overdriven

from distortion_removal.effects.invertible import OVERDRIVE, Parameters, invert
from experiments.benchmarks.peers import inversion


def test_loops_equal_the_scan():
  clean = 0.2 * np.random.default_rng(0).standard_normal(2000)
  audio = overdriven(clean, 35.0, 20.0, 0.4) - 1e-3
  settings = np.array([[10**1.75, 20.0], [0.4, 0.5], [0.1, 0.0], [-1e-3, 0.0]])
  found = inversion.many(audio, settings)
  np.testing.assert_allclose(found[:, 0], clean, atol=1e-12)
  with jax.enable_x64(True):
    ours = invert(OVERDRIVE, audio[:, None], Parameters(*settings))[0]
  np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-12)
  one = inversion.one(audio, tuple(settings[:, 1]))
  np.testing.assert_allclose(one, found[:, 1], rtol=1e-9, atol=1e-12)
