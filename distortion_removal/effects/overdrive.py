"""SoX's `overdrive`: a cubic soft clip, a DC blocker and some clean signal."""

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects import level

# The pole of SoX's DC blocker.
_POLE = 0.995

# Long enough that a second of audio needs two levels of blocks, short enough
# that the block matrix (64 KiB) stays in a processor's cache.
_BLOCK = 128


def overdrive(
  audio: jax.Array,
  gain_db: jax.Array | float,
  *,
  colour: jax.Array | float = 0.0,
) -> jax.Array:
  """Applies SoX's effect `overdrive gain colour`.

  Per sample of each channel, with g = 10^(gain / 20) and c = colour / 200:

      d[n] = f(g x[n] + c),   f(u) = u - u^3 / 3, held at -2/3 and 2/3
                                     outside [-1, 1]
      v[n] = d[n] - d[n-1] + 0.995 v[n-1]           (d[-1] = v[-1] = 0)
      y[n] = 0.5 x[n] + 0.75 v[n]

  x itself is part of the output, so the effect can be undone when gain and
  scale are known. With colour 0 silence stays silence; any other colour
  starts with a step of 0.75 f(c) that the DC blocker lets decay. A gain of
  exactly 0 dB passes the audio unchanged, for there the program leaves the
  effect out of its chain; the least gain above it follows the formula.

  Unlike the program, which writes fixed point, the output is not clipped to
  [-1, 1]. SoX's own default colour is 20; the guitar task of Imort et al.
  (2022) uses 0.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    gain_db: gain before the soft clip in dB, scalar or `[batch]`.
    colour: asymmetry, 0 to 100 (even harmonics), scalar or `[batch]`.

  Returns:
    `[batch, time, channels]` float32.

  Source: the SoX manual's `overdrive`; the formula was checked against SoX
  14.4.2 (tests/effects/test_overdrive.py).
  """
  audio = jnp.asarray(audio, jnp.float32)
  offset = level.per_item(colour) / 200.0
  driven = jnp.clip(level.gain_factor(gain_db) * audio + offset, -1.0, 1.0)
  distorted = driven - driven**3 / 3.0
  blocked = _block_dc(jnp.moveaxis(distorted, -2, -1))
  output = 0.5 * audio + 0.75 * jnp.moveaxis(blocked, -1, -2)
  return jnp.where(level.per_item(gain_db) == 0, audio, output)


def _block_dc(signal: jax.Array) -> jax.Array:
  """v[n] = d[n] - d[n-1] + 0.995 v[n-1] along the last axis."""
  before = jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(1, 0)])[..., :-1]
  return one_pole(signal - before, _POLE)


def one_pole(signal: jax.Array, pole: float) -> jax.Array:
  """Computes y[n] = x[n] + pole y[n-1] (y[-1] = 0) along the last axis.

  The recursion is exact and needs no loop over samples. Within a block of
  128 samples it is a product with the lower triangular matrix of powers
  pole^(n-k); what the blocks hand on to each other is the same recursion over
  their last samples with pole^128, solved by this very function. The depth is
  the logarithm of the length.

  Args:
    signal: `[..., time]` float32.
    pole: between 0 and 1, a Python number (the powers are made in float64).

  Returns:
    `[..., time]` float32.
  """
  time = signal.shape[-1]
  if time <= _BLOCK:
    return _multiply(signal, _powers(time, pole))
  blocks = -(-time // _BLOCK)
  padding = [(0, 0)] * (signal.ndim - 1) + [(0, blocks * _BLOCK - time)]
  split = jnp.pad(signal, padding).reshape(*signal.shape[:-1], blocks, _BLOCK)
  alone = _multiply(split, _powers(_BLOCK, pole))
  ends = one_pole(alone[..., :-1, -1], pole**_BLOCK)
  decay = np.float32(pole ** np.arange(1, _BLOCK + 1))
  joined = alone.at[..., 1:, :].add(ends[..., None] * decay)
  return joined.reshape(*signal.shape[:-1], -1)[..., :time]


def _powers(size: int, pole: float) -> np.ndarray:
  """`[size, size]`: pole^(n-k) at row n and column k <= n, 0 above."""
  lag = np.arange(size)[:, None] - np.arange(size)
  return np.where(lag >= 0, pole ** np.maximum(lag, 0), 0).astype(np.float32)


def _multiply(signal: jax.Array, matrix: np.ndarray) -> jax.Array:
  # Accelerators multiply in less than float32 unless told otherwise, which
  # would leave an error of about -50 dB.
  return jnp.matmul(signal, matrix.T, precision=jax.lax.Precision.HIGHEST)
