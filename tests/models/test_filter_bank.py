"""Frames and filter banks against SciPy, a signal at a time."""

import jax
import numpy as np
import pytest
import scipy.signal

from distortion_removal.models import crafx


def noise(*shape):
  return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def same_correlation(x, filter_):
  """Correlates one signal in zeros, the larger half of the taps after."""
  before, after = (len(filter_) - 1) // 2, len(filter_) // 2
  x = np.pad(x.astype(np.float64), (before, after))
  return scipy.signal.correlate(x, filter_, "valid", method="direct")


@pytest.mark.parametrize("taps", [1, 2, 5, 8, 40])
def test_smooth_correlates_every_band_with_its_filter(taps):
  bands, kernel = noise(2, 3, 24), noise(taps, 3)
  smoothed = jax.jit(crafx.smooth)(bands, kernel)
  expected = [
    [same_correlation(x, kernel[:, c]) for c, x in enumerate(frame)]
    for frame in bands
  ]
  np.testing.assert_allclose(smoothed, expected, atol=2e-5)


@pytest.mark.parametrize("block", [1, 4, 24])
@pytest.mark.parametrize("taps", [1, 2, 5, 8, 40])
def test_synthesise_is_the_transpose_of_the_analysis(taps, block):
  """<analysis(x), y> = <x, synthesis(y)> for all unit vectors x."""
  bands, kernel = noise(2, 24, 3), noise(taps, 3)
  audio = jax.jit(crafx.synthesise, static_argnums=2)(bands, kernel, block)
  units = [
    [same_correlation(unit, kernel[:, c]) for c in range(3)]
    for unit in np.eye(24)
  ]
  expected = np.einsum("xct,ftc->fx", units, bands)
  np.testing.assert_allclose(audio, expected, atol=2e-5)
