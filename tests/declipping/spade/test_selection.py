"""Thresholds against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.declipping.spade.selection import kth_largest

_select = jax.jit(kth_largest)
# Rows as different as spectra of a loud and a quiet frame, over many octaves.
_SPECTRA = np.exp(
  6.0 * np.random.default_rng(0).standard_normal((5, 1025))
) * np.logspace(-12, 6, 5).reshape(-1, 1)


def _counts(values, k, guess, wanted=True):
  """Counts the values of each row that reach its threshold."""
  rows = len(values)
  threshold = _select(
    values,
    jnp.broadcast_to(jnp.asarray(k, jnp.int32), rows),
    jnp.broadcast_to(jnp.asarray(guess, values.dtype), rows),
    jnp.broadcast_to(jnp.asarray(wanted), rows),
  )
  return np.sum(values >= np.asarray(threshold)[:, None], axis=1)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_exactly_k_values_reach_the_threshold(precision):
  with jax.enable_x64(precision == "float64"):
    values = _SPECTRA.astype(precision)
    for guess in (0.0, 1e-9, 1.0, 1e9, np.inf):
      for k in (1, 2, 40, 512, 1024, 1025, [1, 7, 100, 1000, 1025]):
        np.testing.assert_array_equal(_counts(values, k, guess), k)


def test_neighbouring_floats_are_told_apart():
  values = 1 + np.finfo(np.float32).eps * np.arange(9, dtype=np.float32)[None]
  for k in range(1, 10):
    assert _counts(values, k, 0.5) == k


def test_equal_values_share_their_fate():
  values = np.asarray([[3.0, 2.0, 2.0, 2.0, 1.0, 0.0, 0.0]], np.float32)
  for k, count in {1: 1, 2: 4, 3: 4, 4: 4, 5: 5, 6: 7, 99: 7}.items():
    assert _counts(values, k, 5.0) == count
  assert _counts(np.zeros((1, 8), np.float32), 1, 0.0) == 8


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_long_row_of_zeros_is_no_longer_search(precision):
  # The first step is as long as there are ranks to go.
  with jax.enable_x64(precision == "float64"):
    values = np.zeros((1, 100_000), precision)
    assert _counts(values, 2, 0.0) == 100_000
    values[0, :3] = 1.0
    assert _counts(values, 4, 1.0) == 100_000


def test_rows_that_are_not_wanted_hold_nobody_up():
  values = np.stack([_SPECTRA[0], np.full(1025, np.nan)]).astype(np.float32)
  assert _counts(values, 40, 1.0, [True, False])[0] == 40
