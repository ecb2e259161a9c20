"""Hard clipping, by a gain or to a wanted signal-to-distortion ratio."""

import jax
import jax.numpy as jnp

from distortion_removal.effects import level
from distortion_removal.effects.oversampling import oversampled

# On real recordings five steps leave an error of 0.0001 dB at 20 dB, eight of
# 0.00001 dB at 30 dB.
_NEWTON_STEPS = 8
# An item with no larger peak is silent: -200 dB of full scale, far under the
# step of 24-bit audio (-138 dB), far over the smallest float32.
_SILENCE_PEAK = 1e-10


def hard_clip(
  audio: jax.Array,
  gain_db: jax.Array | float,
  *,
  rail: float = 1.0,
  oversample: int = 1,
) -> jax.Array:
  """Amplifies and cuts off: y = clip(10^(gain / 20) x, -rail, rail).

  The hard clip of the guitar task in Imort et al. (2022), which applies it to
  excerpts whose peak is 0.5. The gain is not taken back afterwards.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    gain_db: gain in dB, scalar or `[batch]`.
    rail: the largest magnitude that passes.
    oversample: see `oversampling`.
  """
  amplified = level.gain_factor(gain_db) * jnp.asarray(audio, jnp.float32)
  return oversampled(
    lambda driven: jnp.clip(driven, -rail, rail), amplified, oversample
  )


def sdr_clip_threshold(
  audio: jax.Array, sdr_db: jax.Array | float
) -> jax.Array:
  """Finds the clipping threshold that gives a wanted input SDR.

  Clipping at t leaves the residual (|x| - t)+, so the threshold solves

      h(t) = ||(|x| - t)+|| - 10^(-SDR / 20) ||x|| = 0

  with norms over time and channels of an item. h falls, is convex, and
  h(0) >= 0, so Newton's method from t = 0 climbs to the root without passing
  it. The SDR is met within 0.001 dB up to 60 dB, where float32 sets the limit.

  The gradient with respect to audio and level is that of the last step alone,
  which by the implicit function theorem is the gradient of the root.

  Args:
    audio: `[batch, time, channels]`. Zeros (padding) do not matter.
    sdr_db: 20 log10(||x|| / ||x - y||) in dB, scalar or `[batch]`; above 0,
      at most 60.

  Returns:
    `[batch]`, linear amplitude; infinite for a silent item, which has no SDR.
  """
  audio = jnp.asarray(audio, jnp.float32)
  silent = jnp.max(jnp.abs(audio), axis=(-2, -1)) <= _SILENCE_PEAK
  # Silence becomes ones, whose norm has a gradient. Anything louder is far
  # enough from zero for its squares not to underflow.
  magnitude = jnp.where(silent[..., None, None], 1.0, jnp.abs(audio))
  wanted = 10.0 ** (-jnp.asarray(sdr_db, jnp.float32) / 20.0)
  residual_norm = wanted * _norm(magnitude)

  fixed = jax.lax.stop_gradient((magnitude, residual_norm))
  root = jax.lax.fori_loop(
    0,
    _NEWTON_STEPS,
    lambda _, threshold: _newton_step(threshold, *fixed),
    jnp.zeros_like(residual_norm),
  )
  threshold = _newton_step(root, magnitude, residual_norm)
  return jnp.where(silent, jnp.inf, threshold)


def clip_to_sdr(audio: jax.Array, sdr_db: jax.Array | float) -> jax.Array:
  """Clips each item at the threshold that makes its input SDR `sdr_db`.

  The SignalTrain task of Imort et al. (2022): symmetric, at the original
  scale, SDR = 20 log10(||x|| / ||x - y||) over time and channels of an item.

  A silent item is returned unchanged. The arguments are those of
  `sdr_clip_threshold`.
  """
  audio = jnp.asarray(audio, jnp.float32)
  threshold = level.per_item(sdr_clip_threshold(audio, sdr_db))
  return jnp.clip(audio, -threshold, threshold)


def _norm(signal: jax.Array) -> jax.Array:
  return jnp.sqrt(jnp.sum(signal**2, axis=(-2, -1)))


def _newton_step(
  threshold: jax.Array, magnitude: jax.Array, residual_norm: jax.Array
) -> jax.Array:
  """Takes one step towards ||(magnitude - threshold)+|| = residual_norm."""
  residual = jnp.maximum(magnitude - level.per_item(threshold), 0.0)
  norm = _norm(residual)
  # -h'(t); a constant to the gradient, for it multiplies h, 0 at the root.
  descent = jax.lax.stop_gradient(jnp.sum(residual, axis=(-2, -1)) / norm)
  return threshold + (norm - residual_norm) / descent
