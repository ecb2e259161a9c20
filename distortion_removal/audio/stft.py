"""The short-time Fourier transform that networks, masks and losses share.

It has a periodic Hann window and frames centred on multiples of the hop, with
the signal continued by reflection, as `torch.stft` and `librosa.stft` by
default. The inverse divides by the sum of the squared windows (Griffin and
Lim, 1984, eq. 6), so that it undoes the transform.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from distortion_removal.audio.framing import overlap_add, split_frames


def window(
  length: int, size: int | None = None, dtype: npt.DTypeLike = np.float32
) -> np.ndarray:
  """Returns a periodic Hann window, centred in zeros up to `size`."""
  hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
  left = ((size or length) - length) // 2
  right = (size or length) - length - left
  return np.pad(hann, (left, right)).astype(dtype)


def frame_count(length: int, hop: int) -> int:
  """Returns the number of frames of a signal of `length` samples."""
  return 1 + length // hop


def stft(
  audio: jax.Array,
  *,
  size: int,
  hop: int,
  window_length: int | None = None,
  length: jax.Array | None = None,
) -> jax.Array:
  """Computes the short-time Fourier transform, not normalised.

  Args:
    audio: `[batch, time, channels]` float32, reflected at its ends, repeatedly
      if it is shorter than half a frame.
    size: samples of a frame, an even number.
    hop: samples from one frame to the next.
    window_length: samples of the Hann window; None: `size`.
    length: samples of the signal, if padding follows it in `audio`, so that one
      program serves many lengths; only the first `frame_count(length, hop)`
      frames are the signal's, then. None: all.

  Returns:
    `[batch, channels, 1 + time // hop, size // 2 + 1]` complex64.
  """
  signal = audio.swapaxes(1, 2)
  if length is None:
    signal = jnp.pad(signal, ((0, 0), (0, 0), (size // 2,) * 2), "reflect")
  else:
    time = jnp.arange(signal.shape[-1] + size) - size // 2
    signal = signal[..., _reflected(time, length)]
  frames = split_frames(signal, size, hop)
  return jnp.fft.rfft(frames * window(window_length or size, size))


def _reflected(time: jax.Array, length: jax.Array) -> jax.Array:
  """Reflects times before and after a signal into it."""
  period = jnp.maximum(2 * (length - 1), 1)
  time = time % period
  return jnp.minimum(time, period - time)


def istft(
  spectrum: jax.Array,
  *,
  hop: int,
  length: int,
  window_length: int | None = None,
  frames: jax.Array | None = None,
) -> jax.Array:
  """Inverts `stft`; a changed spectrum gives the nearest signal.

  Args:
    spectrum: `[batch, channels, frames, size // 2 + 1]` complex64.
    hop: samples from one frame to the next, at most half of the window.
    length: samples of the result, less than `frames * hop`.
    window_length: as in `stft`.
    frames: number of leading frames that are the signal's; None: all.

  Returns:
    `[batch, length, channels]` float32, zero beyond the signal's frames.
  """
  size = 2 * (spectrum.shape[-1] - 1)
  weights = window(window_length or size, size)
  parts = jnp.fft.irfft(spectrum, size) * weights
  squares = np.tile(weights**2, (spectrum.shape[-2], 1))
  if frames is not None:
    is_signal = jnp.arange(spectrum.shape[-2])[:, None] < frames
    parts, squares = (jnp.where(is_signal, x, 0) for x in (parts, squares))
  signal, norm = overlap_add(parts, hop), overlap_add(squares, hop)
  kept = slice(size // 2, size // 2 + length)
  signal, norm = signal[..., kept], norm[kept]
  if frames is not None:
    norm = jnp.where(norm > 0, norm, 1)
  return (signal / norm).swapaxes(1, 2)
