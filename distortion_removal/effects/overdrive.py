"""SoX's `overdrive`: a cubic soft clip, a DC blocker and some clean signal."""

import jax
import jax.numpy as jnp

from distortion_removal.effects import level
from distortion_removal.effects.dc_blocker import block_dc
from distortion_removal.effects.oversampling import oversampled


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
  offset = level.per_item(colour) / 200.0
  gain = level.gain_factor(gain_db)
  distorted = oversampled(
    lambda x: soft_clip(gain * x + offset), audio, oversample
  )
  output = 0.5 * audio + 0.75 * block_dc(distorted)
  return jnp.where(level.per_item(gain_db) == 0, audio, output)


def soft_clip(driven: jax.Array) -> jax.Array:
  """Applies SoX's cubic: u - u^3 / 3, held at -2/3 and 2/3 outside [-1, 1]."""
  driven = jnp.clip(driven, -1.0, 1.0)
  return driven - driven**3 / 3.0
