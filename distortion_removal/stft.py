"""The short-time Fourier transform that networks, masks and losses share.

A periodic Hann window, frames centred on multiples of the hop and the signal
continued by reflection: what `torch.stft` and `librosa.stft` compute by
default. The inverse divides by the sum of the squared windows (Griffin and
Lim, 1984, eq. 6), so that it undoes the transform.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from distortion_removal.framing import overlap_add, split_frames


def window(
  length: int, size: int | None = None, dtype: npt.DTypeLike = np.float32
) -> np.ndarray:
  """Periodic Hann window of `length`, centred in zeros up to `size`."""
  hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
  left = ((size or length) - length) // 2
  right = (size or length) - length - left
  return np.pad(hann, (left, right)).astype(dtype)


def frame_count(length: int, hop: int) -> int:
  """Frames of a signal of `length` samples."""
  return 1 + length // hop


def stft(
  audio: jax.Array, *, size: int, hop: int, window_length: int | None = None
) -> jax.Array:
  """Short-time Fourier transform, not normalised.

  Args:
    audio: `[batch, time, channels]` float32; reflected at its ends, as often
      as it takes where it is shorter than half a frame.
    size: samples of a frame, an even number.
    hop: samples between frames.
    window_length: of the Hann window, at most `size`; None: `size`.

  Returns:
    `[batch, channels, 1 + time // hop, size // 2 + 1]` complex64.
  """
  signal = audio.swapaxes(1, 2)
  signal = jnp.pad(signal, ((0, 0), (0, 0), (size // 2,) * 2), "reflect")
  frames = split_frames(signal, size, hop)
  return jnp.fft.rfft(frames * window(window_length or size, size))


def istft(
  spectrum: jax.Array,
  *,
  hop: int,
  length: int,
  window_length: int | None = None,
) -> jax.Array:
  """The inverse of `stft`; of a changed spectrum, the nearest signal's.

  Args:
    spectrum: `[batch, channels, frames, size // 2 + 1]` complex64.
    hop: samples between frames, at most half of the window.
    length: samples of the result, less than `frames * hop`.
    window_length: as in `stft`.

  Returns:
    `[batch, length, channels]` float32.
  """
  size = 2 * (spectrum.shape[-1] - 1)
  weights = window(window_length or size, size)
  signal = overlap_add(jnp.fft.irfft(spectrum, size) * weights, hop)
  squares = np.tile(weights**2, (spectrum.shape[-2], 1))
  norm = overlap_add(squares, hop)
  kept = slice(size // 2, size // 2 + length)
  return (signal[..., kept] / norm[kept]).swapaxes(1, 2)
