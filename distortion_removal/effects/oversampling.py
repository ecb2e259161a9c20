"""A static curve at a multiple of the sample rate, against aliasing.

Harmonics above half the sample rate fold back as tones that belong to no
harmonic. Between an interpolator and a decimator most of them are filtered out.
Both are one windowed sinc, symmetric about lag 0, so that nothing is delayed:
a pair of clean and degraded audio stays aligned to the sample.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.audio.framing import split_frames

# Samples (of the lower rate) on either side of lag 0.
_HALF_WIDTH = 32
# Kaiser's formula for 90 dB, with which the band ends at 0.455 of the lower
# rate and the filter stops at 0.545.
_BETA = 0.1102 * (90 - 8.7)
_BLOCK = 64  # samples of the lower rate that one matrix product makes


def oversampled(
  curve: Callable[[jax.Array], jax.Array], audio: jax.Array, factor: int
) -> jax.Array:
  """Applies a memoryless function at `factor` times the sample rate.

  The audio counts as zero outside its time, so appended zeros change nothing
  before them. The identity returns audio below 0.45 of the sample rate to
  within -80 dB. A curve that makes steps overshoots its bounds by some 10 %,
  as any band-limited step does.

  Args:
    curve: function of each sample alone, of `[batch, time, channels]`.
    audio: `[batch, time, channels]` float32.
    factor: 1 (the curve alone), 2, 4 or 8.

  Source: polyphase interpolation and decimation by an FIR filter (Crochiere
  and Rabiner, "Multirate Digital Signal Processing", 1983); window and beta
  by Kaiser's formulas (Oppenheim and Schafer, "Discrete-Time Signal
  Processing", on the Kaiser window).
  """
  if factor == 1:
    return curve(audio)
  time = audio.shape[-2]
  # Whole blocks, and half a filter on either side for each of the two filters.
  margin = (2 * _HALF_WIDTH, 2 * _HALF_WIDTH + -time % _BLOCK)
  signal = jnp.moveaxis(audio, -2, -1)
  signal = jnp.pad(signal, [(0, 0)] * (signal.ndim - 1) + [margin])
  up, down = _matrices(factor)
  raised = _filter(signal, up, _BLOCK)
  shaped = curve(jnp.moveaxis(raised, -1, -2))
  lowered = _filter(jnp.moveaxis(shaped, -2, -1), down, _BLOCK * factor)
  return jnp.moveaxis(lowered, -1, -2)[..., :time, :]


def _filter(signal: jax.Array, matrix: np.ndarray, hop: int) -> jax.Array:
  """Multiplies the frames that begin every `hop` samples, and joins them."""
  # On CPUs XLA's convolution of a single channel takes ten times as long.
  frames = split_frames(signal, len(matrix), hop)
  # Accelerators multiply in less than float32 unless told otherwise.
  blocks = jnp.matmul(frames, matrix, precision=jax.lax.Precision.HIGHEST)
  return blocks.reshape(*signal.shape[:-1], -1)


@functools.cache
def _matrices(factor: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns the matrices that interpolate and decimate a frame to a block.

  Their shapes are `[block + 2 half width, block factor]` and
  `[(block + 2 half width) factor, block]`.
  """
  low = np.arange(-_HALF_WIDTH, _BLOCK + _HALF_WIDTH)
  block = np.arange(_BLOCK)
  high = np.arange(_BLOCK * factor) / factor
  up = _low_pass(high - low[:, None])
  high = np.arange(-_HALF_WIDTH, _BLOCK + _HALF_WIDTH, 1 / factor)
  down = _low_pass(block - high[:, None]) / factor
  return up.astype(np.float32), down.astype(np.float32)


def _low_pass(lag: np.ndarray) -> np.ndarray:
  """Returns the filter at lags in samples of the lower rate."""
  inside = np.maximum(0, 1 - (lag / _HALF_WIDTH) ** 2)
  window = np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
  return np.where(np.abs(lag) <= _HALF_WIDTH, np.sinc(lag) * window, 0)
