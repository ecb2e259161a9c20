"""The ideal ratio mask, an oracle: what masking a spectrogram can reach.

Each bin of the degraded signal's spectrum is scaled as knowing the clean one
suggests; the phase stays the degraded signal's. The upper bound for networks
that estimate magnitudes in Imort et al., "Distortion Audio Effects: Learning
How to Recover the Clean Signal", ISMIR 2022. For the masks see Erdogan et al.,
"Phase-sensitive and recognition-boosted speech separation using deep recurrent
neural networks", ICASSP 2015, table 1 (ideal amplitude, Wiener like).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.audio.stft import frame_count, istft, stft
from distortion_removal.common import devices, errors

# Bins of the degraded signal below this are digital silence.
_SILENCE = 1e-30


def _unclipped(degraded: jax.Array, clean: jax.Array) -> jax.Array:
  return _divide(jnp.abs(clean), jnp.abs(degraded))


def _clipped(degraded: jax.Array, clean: jax.Array) -> jax.Array:
  return jnp.minimum(_unclipped(degraded, clean), 1.0)


def _power(degraded: jax.Array, clean: jax.Array) -> jax.Array:
  power = jnp.abs(clean) ** 2
  return _divide(power, power + jnp.abs(degraded - clean) ** 2)


_MASKS = {"unclipped": _unclipped, "clipped": _clipped, "power": _power}

_BATCH = 8  # the most items of a call


def ideal_ratio_mask(
  degraded: np.ndarray,
  clean: np.ndarray,
  *,
  variant: str = "unclipped",
  size: int = 1024,
  hop: int = 256,
) -> np.ndarray:
  """Masks the degraded signal's spectrum X, given the clean one's, S.

  The masks are |S| / |X| (`unclipped`: bins are raised, too, where the effect
  took energy away; the paper's), min(|S| / |X|, 1) (`clipped`) and
  |S|^2 / (|S|^2 + |X - S|^2) (`power`: a Wiener filter). Each is 0 where its
  denominator is: what is silent in the degraded signal stays so, having no
  phase. All return the clean signal if it is the degraded one.

  Args:
    degraded: `[batch, time, channels]` float32, any time >= 1.
    clean: of the same shape.
    variant: name of the mask.
    size: samples of a Hann frame; the paper has 1024 and 256 at 16 kHz.
    hop: samples between frames, at most half of `size`.

  Returns:
    The estimate, of the same shape, float32.

  Raises:
    ValueError: the shapes differ.
    UserError: no mask has that name.
  """
  if degraded.shape != clean.shape:
    raise ValueError(
      f"degraded {degraded.shape} and clean {clean.shape} differ in shape"
    )
  errors.look_up(_MASKS, "ideal ratio mask", variant)
  length = degraded.shape[1]
  buffers = [_buffered(np.asarray(x)) for x in (degraded, clean)]
  options = {"variant": variant, "size": size, "hop": hop}
  function = functools.partial(_masked, length=np.int32(length), **options)
  batch = min(1 << (len(degraded) - 1).bit_length(), _BATCH)
  return devices.in_batches(function, batch)(*buffers)[:, :length]


def _buffered(audio: np.ndarray) -> np.ndarray:
  """The audio at the beginning of a buffer of one of few lengths.

  They are a quarter of a power of two apart, so that at most a quarter of the
  work is for nothing.
  """
  time = audio.shape[1]
  step = max(1 << time.bit_length() >> 3, 1024)
  return np.pad(audio, ((0, 0), (0, -time % step), (0, 0)))


@functools.partial(jax.jit, static_argnames=("variant", "size", "hop"))
def _masked(
  degraded: jax.Array,
  clean: jax.Array,
  *,
  length: jax.Array,
  variant: str,
  size: int,
  hop: int,
) -> jax.Array:
  """The estimate of the first `length` samples of buffers."""
  transform = functools.partial(stft, size=size, hop=hop, length=length)
  spectrum = transform(degraded)
  masked = _MASKS[variant](spectrum, transform(clean)) * spectrum
  frames = frame_count(length, hop)
  return istft(masked, hop=hop, length=degraded.shape[1], frames=frames)


def _divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
  """The quotient of two arrays, 0 where the denominator is."""
  is_silent = denominator < _SILENCE
  return jnp.where(
    is_silent, 0.0, numerator / jnp.where(is_silent, 1.0, denominator)
  )
