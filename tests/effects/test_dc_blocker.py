"""The recursion against SciPy's."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from distortion_removal.effects import dc_blocker


@pytest.mark.parametrize("time", [1, 128, 129, 20000])
def test_equals_the_difference_equation(time):
  audio = np.random.default_rng(0).uniform(-1, 1, (2, time, 2))
  actual = dc_blocker.block_dc(jnp.float32(audio))
  expected = signal.lfilter([1, -1], [1, -0.995], np.float32(audio), axis=1)
  np.testing.assert_allclose(actual, expected, atol=2e-6)


@pytest.mark.parametrize("pole", [0.0, 0.5, 0.9999])
def test_one_pole_is_a_power(pole):
  impulse = jnp.zeros(1000).at[3].set(2.0)
  expected = np.zeros(1000)
  expected[3:] = 2 * pole ** np.arange(997)
  actual = dc_blocker.one_pole(impulse, pole)
  np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-30)
