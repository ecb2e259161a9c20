"""Training losses, listed by name, and weighted sums of them.

Each takes `(estimate, target)`, both `[batch, time, channels]`, and returns
the mean over the batch as a float32 scalar; lower is better. The arithmetic is
float32 whatever the inputs are (a network may compute in bfloat16). Different
shapes raise `ValueError` rather than broadcast.

`config.loss` names one of them, "l1", or a sum whose terms may have positive
weights in front: "l1 + 0.5 * multi_resolution_stft". See `get`.
"""

import functools
import math
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp

from distortion_removal.audio.stft import stft
from distortion_removal.common import errors
from distortion_removal.common.errors import UserError

# A mean square of -100 dB full scale, under the noise floor of 16-bit audio.
# Added to energies it keeps the logarithms and their gradients finite for
# silence, and stops rewarding errors that nobody can hear.
_FLOOR = 1e-10

# FFT size, hop and window length in samples of each resolution (Yamamoto et
# al., table 1), and the least power of a bin, from which its logarithm is
# taken: both as in auraloss.
_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_POWER_FLOOR = 1e-8

_TERM = re.compile(r"(?:(\d*\.?\d+(?:[eE]-?\d+)?)\s*\*\s*)?([A-Za-z]\w*)")

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def l1(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean absolute error, mean |e - t|."""
  estimate, target = _float32_pair(estimate, target)
  return jnp.mean(jnp.abs(estimate - target))


def l2(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean square error, mean (e - t)^2."""
  estimate, target = _float32_pair(estimate, target)
  return jnp.mean((estimate - target) ** 2)


def neg_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative signal-to-distortion ratio in dB, scale included.

      -10 log10((mean t^2 + floor) / (mean (e - t)^2 + floor))

  per item, means over time and channels, floor = 1e-10: `metrics.sdr` with
  the sign turned, where target and error are well above the floor. The loss of
  a silent target is the error's level over the floor.
  """
  estimate, target = _float32_pair(estimate, target)
  return -jnp.mean(_ratio_db(target, estimate - target))


def neg_si_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative scale-invariant signal-to-distortion ratio in dB.

      -10 log10((mean (a t)^2 + floor) / (mean (e - a t)^2 + floor))
      a = mean e t / (mean t^2 + floor)

  per item, means over time and channels, floor = 1e-10: `metrics.si_sdr`
  (Le Roux et al. 2019) with the sign turned, where target and error are well
  above the floor. It leaves level and polarity of a network's output open.
  """
  estimate, target = _float32_pair(estimate, target)
  scale = _mean(estimate * target) / (_mean(target**2) + _FLOOR)
  scaled = scale[:, None, None] * target
  return -jnp.mean(_ratio_db(scaled, estimate - scaled))


def multi_resolution_stft(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Multi-resolution STFT loss, the mean over three resolutions of

      ||T - E|| / ||T|| + mean |log T - log E|

  with the magnitudes T and E of target and estimate, at least 1e-4, and
  Frobenius norms over the whole batch.

  Source: Yamamoto, Song, Kim, "Parallel WaveGAN", ICASSP 2020, equations 3 to
  6; with the details of auraloss' `MultiResolutionSTFTLoss`, whose default it
  equals. A bin below the floor, as of a silent estimate, has no gradient.
  """
  estimate, target = _float32_pair(estimate, target)
  terms = [
    _spectral_distance(estimate, target, *resolution)
    for resolution in _RESOLUTIONS
  ]
  return sum(terms) / len(terms)


def magnitude_l2(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean square error of magnitude spectrograms, mean (|E| - |T|)^2.

  Hann frames of 1024 samples every 256, not normalised: the criterion that
  Open-Unmix (Stoeter et al. 2019) is trained with, at 16 kHz. A bin in which
  the estimate is zero has no phase, and no gradient.
  """
  estimate, target = _float32_pair(estimate, target)
  spectra = (stft(x, size=1024, hop=256) for x in (estimate, target))
  estimate, target = map(jnp.abs, spectra)
  return jnp.mean((estimate - target) ** 2)


LOSSES: dict[str, Loss] = {
  "l1": l1,
  "l2": l2,
  "magnitude_l2": magnitude_l2,
  "multi_resolution_stft": multi_resolution_stft,
  "neg_sdr": neg_sdr,
  "neg_si_sdr": neg_si_sdr,
}


def get(text: str) -> Loss:
  """Returns the loss that `config.loss` describes.

  Args:
    text: terms separated by `+`, each a name in `LOSSES` or a positive number,
      `*` and a name.

  Raises:
    UserError: the text is not of this form, or has a name that no loss has.
  """
  terms = [_parse_term(term, text) for term in text.split("+")]

  def weighted_sum(estimate: jax.Array, target: jax.Array) -> jax.Array:
    return sum(weight * loss(estimate, target) for weight, loss in terms)

  return weighted_sum


def _parse_term(term: str, text: str) -> tuple[float, Loss]:
  match = _TERM.fullmatch(term.strip())
  weight = float(match[1] or 1) if match else 0.0
  if not 0 < weight < math.inf:
    raise UserError(
      f"config.loss {text!r}: cannot read {term.strip()!r}; write terms like "
      "'l1' or '0.5 * l1', with a positive weight, joined by '+'"
    )
  return weight, errors.look_up(LOSSES, "loss in config.loss", match[2])


def _float32_pair(
  estimate: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
  if estimate.shape != target.shape:
    raise ValueError(
      f"estimate {estimate.shape} and target {target.shape} differ in shape"
    )
  return estimate.astype(jnp.float32), target.astype(jnp.float32)


def _mean(signal: jax.Array) -> jax.Array:
  return jnp.mean(signal, axis=(-2, -1))


def _ratio_db(signal: jax.Array, noise: jax.Array) -> jax.Array:
  """Energy of signal over noise per item in dB, both raised by the floor."""
  ratio = (_mean(signal**2) + _FLOOR) / (_mean(noise**2) + _FLOOR)
  return 10.0 * jnp.log10(ratio)


def _spectral_distance(
  estimate: jax.Array, target: jax.Array, size: int, hop: int, length: int
) -> jax.Array:
  """Spectral convergence and distance of log magnitudes at one resolution."""
  transform = functools.partial(stft, size=size, hop=hop, window_length=length)
  spectra = (transform(x) for x in (estimate, target))
  # Powers rather than jnp.abs: the root of one at the floor is differentiable.
  powers = (x.real**2 + x.imag**2 for x in spectra)
  estimate, target = (jnp.sqrt(jnp.maximum(p, _POWER_FLOOR)) for p in powers)
  # A perfect estimate: the root of zero has no gradient.
  error = jnp.maximum(jnp.sum((target - estimate) ** 2), 1e-30)
  convergence = jnp.sqrt(error) / jnp.sqrt(jnp.sum(target**2))
  return convergence + jnp.mean(jnp.abs(jnp.log(target / estimate)))
