"""The quantiser's codes and noise, and samples that are held."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.effects import bit_crush


def test_codes_of_three_bits():
  # Steps of 1/4; halves go to the even code, what is beyond 1 to 1.
  audio = [0.0, 0.1, 0.13, 0.125, 0.375, -0.3, 0.9, 1.0, -2.0]
  codes = [0.0, 0.0, 0.25, 0.0, 0.5, -0.25, 1.0, 1.0, -1.0]
  actual = bit_crush.bit_crush(jnp.float32(audio)[None, :, None], 3.0)
  np.testing.assert_array_equal(actual[0, :, 0], np.float32(codes))


@pytest.mark.parametrize("bits", [4.0, 8.0, 12.0, 9.3])
def test_noise_is_a_twelfth_of_the_squared_step(bits):
  step = 2 ** (1 - bits)
  top = 1 - step / 2  # as much of every code
  audio = np.random.default_rng(0).uniform(-top, top, (1, 100_000, 1))
  crushed = np.float64(bit_crush.bit_crush(audio, bits))
  assert np.abs(crushed - audio).max() <= step / 2 * 1.001
  np.testing.assert_allclose(
    np.mean((crushed - audio) ** 2), step**2 / 12, rtol=0.02
  )


def test_a_hold_repeats_each_sample_taken():
  audio = jnp.arange(7.0)[None, :, None] / 8
  actual = bit_crush.bit_crush(audio, 20.0, hold=3)[0, :, 0]
  np.testing.assert_array_equal(actual * 8, [0, 0, 0, 3, 3, 3, 6])
  # Of each item, with a resolution of each item.
  pair = jnp.repeat(audio, 2, 0)
  bits, hold = jnp.float32([2.0, 20.0]), jnp.array([1, 2])
  actual = jax.jit(bit_crush.bit_crush)(pair, bits, hold=hold)[..., 0]
  np.testing.assert_array_equal(actual[0] * 2, [0, 0, 0, 1, 1, 1, 2])
  np.testing.assert_array_equal(actual[1] * 8, [0, 0, 2, 2, 4, 4, 6])
