"""A one-pole recursion without a loop over samples; SoX's DC blocker."""

import jax
import jax.numpy as jnp
import numpy as np

# The pole of the DC blocker in SoX's overdrive.
POLE = 0.995

# Long enough that a second of audio needs two levels of blocks, short enough
# that the block matrix (64 KiB) stays in a processor's cache.
_BLOCK = 128


def block_dc(audio: jax.Array) -> jax.Array:
  """Removes the mean: v[n] = d[n] - d[n-1] + 0.995 v[n-1], d[-1] = v[-1] = 0.

  A zero at 0 Hz with a pole next to it: -3 dB at 0.0008 of the sample rate
  (13 Hz of 16 kHz, 35 Hz of 44.1 kHz).

  Source: the DC blocker of SoX's `overdrive`; J. O. Smith, "Introduction to
  Digital Filters", section "DC Blocker".
  """
  signal = jnp.moveaxis(audio, -2, -1)
  before = jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(1, 0)])[..., :-1]
  return jnp.moveaxis(one_pole(signal - before, POLE), -1, -2)


def one_pole(signal: jax.Array, pole: float) -> jax.Array:
  """Computes y[n] = x[n] + pole y[n-1] (y[-1] = 0) along the last axis.

  The recursion is exact and needs no loop over samples. Within a block of
  128 samples it is a product with the lower triangular matrix of powers
  pole^(n-k). From block to block it is the same recursion over their last
  samples with pole^128, solved by this very function. The depth is the
  logarithm of the length.

  Args:
    signal: `[..., time]` float32.
    pole: a Python number between 0 and 1 (the powers are made in float64).
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
  """Returns pole^(n-k) at row n and column k <= n of `[size, size]`, else 0."""
  lag = np.arange(size)[:, None] - np.arange(size)
  return np.where(lag >= 0, pole ** np.maximum(lag, 0), 0).astype(np.float32)


def _multiply(signal: jax.Array, matrix: np.ndarray) -> jax.Array:
  # Accelerators multiply in less than float32 unless told otherwise, which
  # would leave an error of about -50 dB.
  return jnp.matmul(signal, matrix.T, precision=jax.lax.Precision.HIGHEST)
