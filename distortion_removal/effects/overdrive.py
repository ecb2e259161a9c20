"""SoX's `overdrive`: a cubic soft clip, a DC blocker and some clean signal."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import level
from distortion_removal.effects.dc_blocker import block_dc
from distortion_removal.effects.oversampling import oversampled

# Shares of the clean and of the clipped signal in the output.
DRY, WET = 0.5, 0.75
COLOUR_OF_1 = 200.0  # the colour that shifts the soft clip's input by 1


def overdrive(
  audio: jax.Array,
  gain_db: jax.Array | float,
  *,
  colour: jax.Array | float = 0.0,
  oversample: int = 1,
) -> jax.Array:
  """Applies SoX's effect `overdrive gain colour`.

  Per sample of each channel, with g = 10^(gain / 20) and c = colour / 200:

      d[n] = f(g x[n] + c),   f(u) = u - u^3 / 3, held at -2/3 and 2/3
                                     outside [-1, 1]
      v[n] = d[n] - d[n-1] + 0.995 v[n-1]           (d[-1] = v[-1] = 0)
      y[n] = 0.5 x[n] + 0.75 v[n]

  x itself is part of the output, so the effect can be undone when gain and
  scale are known. With colour 0 silence stays silence; any other colour
  starts with a step of 0.75 f(c) that decays through the DC blocker. A gain of
  exactly 0 dB passes the audio unchanged, because the program then leaves the
  effect out of its chain; any gain above it follows the formula.

  Unlike the program, which writes fixed point, the output is not clipped to
  [-1, 1]. SoX's own default colour is 20; the guitar task of Imort et al.
  (2022) uses 0.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    gain_db: gain before the soft clip in dB, scalar or `[batch]`.
    colour: asymmetry, 0 to 100 (even harmonics), scalar or `[batch]`.
    oversample: see `oversampling`; f alone is oversampled.

  Source: the SoX manual's `overdrive`; the formula was checked against SoX
  14.4.2 (tests/effects/test_overdrive.py).
  """
  audio = jnp.asarray(audio, jnp.float32)
  offset = level.per_item(colour) / COLOUR_OF_1
  gain = level.gain_factor(gain_db)
  distorted = oversampled(
    lambda x: soft_clip(gain * x + offset), audio, oversample
  )
  output = DRY * audio + WET * block_dc(distorted)
  return jnp.where(level.per_item(gain_db) == 0, audio, output)


def soft_clip(driven: jax.Array) -> jax.Array:
  """Applies SoX's cubic: u - u^3 / 3, held at -2/3 and 2/3 outside [-1, 1]."""
  driven = jnp.clip(driven, -1.0, 1.0)
  return driven - driven**3 / 3.0


def soft_clip_slope(driven: jax.Array) -> jax.Array:
  """Returns the slope of `soft_clip`: 1 - u^2, and 0 outside [-1, 1]."""
  return jnp.maximum(1.0 - driven**2, 0.0)


def solve_soft_clip(
  value: jax.Array, linear: jax.Array, wet: float
) -> jax.Array:
  """Finds u where linear u + wet soft_clip(u) = value, linear >= 0.

  Outside [-1, 1] the equation is linear. Inside it is a cubic with one root
  there: with q^2 = 1 + linear / wet,

      u = 2 q sin(asin(z) / 3),   z = 3 value / (2 wet q^3).

  A polynomial in sqrt(1 - |z|), in which the sine is analytic, starts Newton's
  method, which two steps bring to rounding in float64: arcsine and sine would
  take four times as long. Without a linear part, values that the curve does not
  reach have the root -1 or 1.
  """
  magnitude = jnp.abs(value)
  q = jnp.sqrt(1.0 + linear / wet)
  depth = jnp.sqrt(jnp.maximum(1.0 - 1.5 * magnitude / (wet * q**3), 0.0))
  sine = jnp.zeros_like(depth)
  for coefficient in _sine_of_a_third()[::-1]:
    sine = sine * depth + coefficient
  root = jnp.minimum(2.0 * q * sine, 1.0)
  for _ in range(2):
    slope = linear + wet * soft_clip_slope(root)
    error = linear * root + wet * soft_clip(root) - magnitude
    step = error / jnp.where(slope > 0, slope, 1.0)
    root = jnp.clip(root - step, 0.0, 1.0)
  beyond = (magnitude - 2.0 / 3.0 * wet) / jnp.where(linear > 0, linear, 1.0)
  is_inside = (magnitude < linear + 2.0 / 3.0 * wet) | (linear == 0)
  return jnp.where(is_inside, root, beyond) * jnp.sign(value)


@functools.cache
def _sine_of_a_third() -> tuple[float, ...]:
  """Fits sin(asin(1 - t^2) / 3) by powers of t from 0 to 1, to 4e-7."""
  t = 0.5 - 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
  sine = np.sin(np.arcsin(1.0 - t**2) / 3.0)
  fit = np.polynomial.Polynomial.fit(t, sine, 8, domain=[0, 1])
  return tuple(map(float, fit.convert().coef))
