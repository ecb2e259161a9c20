"""The ideal ratio mask, an oracle: the limit of masking a spectrogram.

Each bin of the degraded signal's spectrum is scaled to the clean one's
magnitude; the phase stays the degraded signal's. The upper bound for networks
that estimate magnitudes in Imort et al., "Distortion Audio Effects: Learning
How to Recover the Clean Signal", ISMIR 2022. The mask is called "ideal
amplitude" in Erdogan et al., "Phase-sensitive and recognition-boosted speech
separation using deep recurrent neural networks", ICASSP 2015, table 1.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.audio.stft import frame_count, istft, stft
from distortion_removal.common import devices

_FRAME, _HOP = 1024, 256  # samples of a Hann frame, at any rate: the paper's
# Bins of the degraded signal below this are digital silence.
_SILENCE = 1e-30
_BATCH = 8  # the most items of a call


def ideal_ratio_mask(degraded: np.ndarray, clean: np.ndarray) -> np.ndarray:
  """Masks the degraded signal's spectrum X, given the clean one's, S.

  The mask is |S| / |X|: bins are raised, too, where the effect took energy
  away. It is 0 where |X| is: what is silent in the degraded signal stays so,
  having no phase. The clean signal itself comes back unchanged.

  Args:
    degraded: `[batch, time, channels]` float32, any time >= 1.
    clean: the clean signal, in the same shape.

  Returns:
    The estimate, in the same shape, float32.
  """
  if degraded.shape != clean.shape:
    raise ValueError(
      f"degraded {degraded.shape} and clean {clean.shape} differ in shape"
    )
  length = degraded.shape[1]
  buffers = [_buffered(np.asarray(x)) for x in (degraded, clean)]
  function = functools.partial(_masked, length=np.int32(length))
  batch = min(1 << (len(degraded) - 1).bit_length(), _BATCH)
  return devices.in_batches(function, batch)(*buffers)[:, :length]


def _buffered(audio: np.ndarray) -> np.ndarray:
  """Pads the audio's end to one of few lengths, for few programs to compile.

  They are a quarter of a power of two apart, so that at most a quarter of the
  work is wasted.
  """
  time = audio.shape[1]
  step = max(1 << time.bit_length() >> 3, 1024)
  return np.pad(audio, ((0, 0), (0, -time % step), (0, 0)))


@jax.jit
def _masked(
  degraded: jax.Array, clean: jax.Array, *, length: jax.Array
) -> jax.Array:
  """Estimates the first `length` samples of buffers."""
  transform = functools.partial(stft, size=_FRAME, hop=_HOP, length=length)
  spectrum = transform(degraded)
  magnitude = jnp.abs(spectrum)
  is_silent = magnitude < _SILENCE
  ratio = jnp.abs(transform(clean)) / jnp.where(is_silent, 1.0, magnitude)
  return istft(
    jnp.where(is_silent, 0.0, ratio) * spectrum,
    hop=_HOP,
    length=degraded.shape[1],
    frames=frame_count(length, _HOP),
  )
