"""Learnt filter banks on frames, in the forms that are fast in XLA.

Convolutions keep the length of the signal, as if it lay in zeros: of the taps
there is half before a sample and half after it; of an even number, the larger
half comes after.
"""

import jax
import jax.numpy as jnp

from distortion_removal.audio.framing import overlap_add


def same_padding(taps: int) -> tuple[int, int]:
  """Zeros before and after a signal so that a convolution keeps its length."""
  return (taps - 1) // 2, taps // 2


def smooth(bands: jax.Array, kernel: jax.Array) -> jax.Array:
  """Filters every band with its own filter, a depthwise convolution.

  By products of spectra: with 128 taps, XLA's own takes 20 times as long on
  CPUs.

  Args:
    bands: `[..., channels, time]` float32.
    kernel: `[taps, channels]`.

  Returns:
    The cross-correlation, of the shape of `bands`.
  """
  taps, time = kernel.shape[0], bands.shape[-1]
  size = time + taps
  # Before the first sample is, in a circle, after the last.
  kernel = jnp.pad(kernel.T, ((0, 0), (0, time)))
  kernel = jnp.roll(kernel, -same_padding(taps)[0], 1)
  spectrum = jnp.fft.rfft(bands, size) * jnp.fft.rfft(kernel).conj()
  return jnp.fft.irfft(spectrum, size)[..., :time]


def synthesise(bands: jax.Array, kernel: jax.Array, block: int) -> jax.Array:
  """Sum of the bands' transposed convolutions, one filter each.

  A block of samples at a time, with all shifts of the filters within a block
  side by side: one large matrix product and an overlap-add.

  Args:
    bands: `[frames, time, channels]`.
    kernel: of the analysis, `[taps, channels]`.
    block: samples, a divisor of the time.

  Returns:
    `[frames, time]`.
  """
  frames, time, channels = bands.shape
  taps, left = kernel.shape[0], same_padding(kernel.shape[0])[0]
  # Rows one sample shorter than the period of what they are cut from, so that
  # in each the filter comes a sample later: [block, span, channels].
  span = -(-(taps + block - 1) // block) * block
  shifts = jnp.pad(kernel, ((0, span + 1 - taps), (0, 0)))
  shifts = jnp.tile(shifts, (block, 1))[: block * span]
  shifts = shifts.reshape(block, span, channels)
  pieces = jnp.einsum(
    "fnoc,oic->fni", bands.reshape(frames, -1, block, channels), shifts
  )
  return overlap_add(pieces, block)[:, left : left + time]
