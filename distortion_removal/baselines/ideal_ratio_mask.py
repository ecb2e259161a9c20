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

from distortion_removal import errors
from distortion_removal.stft import istft, stft

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


@functools.partial(jax.jit, static_argnames=("variant", "size", "hop"))
def ideal_ratio_mask(
  degraded: jax.Array,
  clean: jax.Array,
  *,
  variant: str = "unclipped",
  size: int = 1024,
  hop: int = 256,
) -> jax.Array:
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
    The estimate, of the same shape.

  Raises:
    ValueError: the shapes differ.
    UserError: no mask has that name.
  """
  if degraded.shape != clean.shape:
    raise ValueError(
      f"degraded {degraded.shape} and clean {clean.shape} differ in shape"
    )
  mask = errors.look_up(_MASKS, "ideal ratio mask", variant)
  transform = functools.partial(stft, size=size, hop=hop)
  spectrum = transform(degraded)
  masked = mask(spectrum, transform(clean)) * spectrum
  return istft(masked, hop=hop, length=degraded.shape[1])


def _divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
  """The quotient of two arrays, 0 where the denominator is."""
  is_silent = denominator < _SILENCE
  return jnp.where(
    is_silent, 0.0, numerator / jnp.where(is_silent, 1.0, denominator)
  )
