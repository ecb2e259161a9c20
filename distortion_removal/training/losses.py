"""Training losses, listed by name, and weighted sums of them.

Each takes `(estimate, target)`, both `[batch, time, channels]`, and returns
the mean over the batch as a float32 scalar; lower is better.

`config.loss` is the name of one, "l1", or a sum whose terms may have positive
weights: "l1 + 0.5 * multi_resolution_stft"; see `parse`.
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

# A mean square of -100 dB full scale, below the noise floor of 16-bit audio.
# Added to energies, it keeps the logarithms and their gradients finite for
# silence, and stops rewarding the removal of inaudible errors.
_FLOOR = 1e-10

# FFT size, hop and window length in samples of each resolution (Yamamoto et
# al., table 1), and the floor of a bin's power, as in auraloss.
_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_POWER_FLOOR = 1e-8

_TERM = re.compile(r"(?:(\d*\.?\d+(?:[eE]-?\d+)?)\s*\*\s*)?([A-Za-z]\w*)")

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def l1(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean absolute error, mean |e - t|."""
  return jnp.mean(jnp.abs(estimate - target))


def l2(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean square error, mean (e - t)^2."""
  return jnp.mean((estimate - target) ** 2)


def neg_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative signal-to-distortion ratio in dB, scale included.

      -10 log10((mean t^2 + floor) / (mean (e - t)^2 + floor))

  per item, means over time and channels, floor = 1e-10. It equals `-sdr` (see
  `metrics`) where target and error are well above the floor. For a silent
  target, the loss is the error's level above the floor.
  """
  return -jnp.mean(_ratio_db(target, estimate - target))


def neg_si_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative scale-invariant signal-to-distortion ratio in dB.

      -10 log10((mean (a t)^2 + floor) / (mean (e - a t)^2 + floor))
      a = mean e t / (mean t^2 + floor)

  per item, means over time and channels, floor = 1e-10. It equals `-si_sdr`
  (Le Roux et al. 2019, see `metrics`) where target and error are well above
  the floor. It leaves level and polarity of a network's output open.
  """
  scale = _mean(estimate * target) / (_mean(target**2) + _FLOOR)
  scaled = scale[:, None, None] * target
  return -jnp.mean(_ratio_db(scaled, estimate - scaled))


def bounded_si_sdr(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Negative SI-SDR in dB that is hardly rewarded beyond 30 dB.

      -10 log10(mean (a t)^2 / (mean (e - a t)^2 + 0.001 mean (a t)^2))

  with a as in `neg_si_sdr`, and its floor added to numerator and denominator.
  Of a logarithm, what is nearly exact has by far the largest gradient: where
  some pairs of a batch hardly need a restoration, nothing else is learnt.

  Source: Wisdom et al., "Unsupervised Sound Separation Using Mixture Invariant
  Training", NeurIPS 2020, equation 2.
  """
  scale = _mean(estimate * target) / (_mean(target**2) + _FLOOR)
  scaled = scale[:, None, None] * target
  signal, noise = _mean(scaled**2), _mean((estimate - scaled) ** 2)
  ratio = (signal + _FLOOR) / (noise + 1e-3 * signal + _FLOOR)
  return -jnp.mean(10.0 * jnp.log10(ratio))


def multi_resolution_stft(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Multi-resolution STFT loss, the mean over three resolutions of

      ||T - E|| / ||T|| + mean |log T - log E|

  with the magnitudes T and E of target and estimate, at least 1e-4, and
  Frobenius norms over the whole batch.

  Source: Yamamoto, Song, Kim, "Parallel WaveGAN", ICASSP 2020, equations 3 to
  6. It equals auraloss' `MultiResolutionSTFTLoss` with its default options.
  Bins below the floor, such as those of silence, have no gradient.
  """
  terms = [
    _spectral_distance(estimate, target, *resolution)
    for resolution in _RESOLUTIONS
  ]
  return sum(terms) / len(terms)


def magnitude_l2(estimate: jax.Array, target: jax.Array) -> jax.Array:
  """Mean square error of magnitude spectrograms, mean (|E| - |T|)^2.

  Hann frames of 1024 samples every 256, not normalised: the criterion of
  Open-Unmix (Stoeter et al. 2019), at 16 kHz. Bins in which the estimate is
  zero have no gradient.
  """
  spectra = (stft(x, size=1024, hop=256) for x in (estimate, target))
  estimate, target = map(jnp.abs, spectra)
  return jnp.mean((estimate - target) ** 2)


LOSSES: dict[str, Loss] = {
  "bounded_si_sdr": bounded_si_sdr,
  "l1": l1,
  "l2": l2,
  "magnitude_l2": magnitude_l2,
  "multi_resolution_stft": multi_resolution_stft,
  "neg_sdr": neg_sdr,
  "neg_si_sdr": neg_si_sdr,
}


def parse(text: str) -> Loss:
  """Returns the loss that `config.loss` describes.

  Its arithmetic is float32 whatever the inputs are (a network may compute in
  bfloat16), and different shapes raise `ValueError` rather than broadcast.

  Args:
    text: terms joined by `+`, each a name in `LOSSES`, or a positive number,
      `*` and a name.

  Raises:
    UserError: the text does not have this form, or a name is unknown.
  """
  terms = [_parse_term(term, text) for term in text.split("+")]

  def weighted_sum(estimate: jax.Array, target: jax.Array) -> jax.Array:
    if estimate.shape != target.shape:
      raise ValueError(
        f"estimate {estimate.shape} and target {target.shape} differ in shape"
      )
    pair = estimate.astype(jnp.float32), target.astype(jnp.float32)
    return sum(weight * loss(*pair) for weight, loss in terms)

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


def _mean(signal: jax.Array) -> jax.Array:
  return jnp.mean(signal, axis=(-2, -1))


def _ratio_db(signal: jax.Array, noise: jax.Array) -> jax.Array:
  """Returns signal over noise energy per item in dB, both plus the floor."""
  ratio = (_mean(signal**2) + _FLOOR) / (_mean(noise**2) + _FLOOR)
  return 10.0 * jnp.log10(ratio)


def _spectral_distance(
  estimate: jax.Array, target: jax.Array, size: int, hop: int, length: int
) -> jax.Array:
  """Adds spectral convergence and log-magnitude distance at one resolution."""
  transform = functools.partial(stft, size=size, hop=hop, window_length=length)
  spectra = (transform(x) for x in (estimate, target))
  # Powers rather than jnp.abs, which has no gradient at zero.
  powers = (x.real**2 + x.imag**2 for x in spectra)
  estimate, target = (jnp.sqrt(jnp.maximum(p, _POWER_FLOOR)) for p in powers)
  # The square root has no gradient at zero, a perfect estimate's error.
  error = jnp.maximum(jnp.sum((target - estimate) ** 2), 1e-30)
  convergence = jnp.sqrt(error) / jnp.sqrt(jnp.sum(target**2))
  return convergence + jnp.mean(jnp.abs(jnp.log(target / estimate)))
