"""Demucs' sampling-rate conversion by two with a windowed sinc.

The filter of J. O. Smith, "Digital Audio Resampling"
(https://ccrma.stanford.edu/~jos/resample/), with the published Demucs' numbers:
24 zero crossings on either side under a squared-cosine window, cut-off at 0.945
of the lower Nyquist frequency, unit gain at 0 Hz, the signal continued by its
first and last sample.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from distortion_removal.audio.framing import split_frames

_ZERO_CROSSINGS = 24
_ROLLOFF = 0.945
_BLOCK = 64  # output samples of a phase that a matrix product makes at a time


def _low_pass(lags: np.ndarray) -> np.ndarray:
  """Returns filter taps at `lags` in samples of the lower rate."""
  time = lags * _ROLLOFF
  time = np.clip(time, -_ZERO_CROSSINGS, _ZERO_CROSSINGS)
  window = np.cos(np.pi * time / _ZERO_CROSSINGS / 2) ** 2
  taps = np.sinc(time) * window
  return taps / taps.sum()


def _lags(rate: int) -> np.ndarray:
  """Returns the lags of all taps at `rate` times the lower rate."""
  half_width = int(np.ceil(rate * _ZERO_CROSSINGS / _ROLLOFF))
  return np.arange(-half_width, half_width + 1) / rate


def _filter(audio: jax.Array, kernel: np.ndarray, stride: int) -> jax.Array:
  """Filters every channel alike, edges continued.

  Maps `[batch, time, channels]` with a kernel `[taps, phases]` of odd length to
  `[batch, ceil(time / stride) * phases, channels]`. One matrix product makes
  blocks of output samples: on CPUs XLA's convolution of one channel takes ten
  times as long, and the gradient of one with a stride eighty times.
  """
  batch, time, channels = audio.shape
  (taps, phases), half_width = kernel.shape, len(kernel) // 2
  length = -(-time // stride)
  blocks = -(-length // _BLOCK)
  rows = np.zeros(((_BLOCK - 1) * stride + taps, _BLOCK, phases), np.float32)
  for i in range(_BLOCK):
    rows[i * stride : i * stride + taps, i] = kernel
  rows = rows.reshape(len(rows), -1)
  signals = audio.swapaxes(1, 2)
  # What jnp.pad does with "edge", but jax2onnx exports that wrongly.
  first, last = (
    jnp.broadcast_to(edge, (*edge.shape[:2], half_width))
    for edge in (signals[..., :1], signals[..., -1:])
  )
  signals = jnp.concatenate([first, signals, last], -1)
  missing = (blocks - 1) * _BLOCK * stride + len(rows) - signals.shape[-1]
  signals = jnp.pad(signals, ((0, 0), (0, 0), (0, max(0, missing))))
  frames = split_frames(signals, len(rows), _BLOCK * stride)[:, :, :blocks]
  # Accelerators multiply in less than float32 unless told otherwise.
  outputs = jnp.dot(
    frames, rows.astype(audio.dtype), precision=lax.Precision.HIGHEST
  )
  outputs = outputs.reshape(batch, channels, -1)
  return outputs[..., : length * phases].swapaxes(1, 2)


def upsample(audio: jax.Array) -> jax.Array:
  """Doubles the sampling rate: `[batch, time, channels]` -> twice the time."""
  # Outputs at an input and half-way after it.
  phases = [_low_pass(_lags(1)), _low_pass(_lags(1) - 0.5)]
  return _filter(audio, np.stack(phases, -1), stride=1)


def downsample(audio: jax.Array) -> jax.Array:
  """Halves the sampling rate: `[batch, time, channels]` -> `time // 2`."""
  time = audio.shape[1] // 2
  return _filter(audio, _low_pass(_lags(2))[:, None], stride=2)[:, :time]
