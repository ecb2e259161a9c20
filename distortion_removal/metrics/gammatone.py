"""Gammatone filters of fourth order, and how alike two signals are behind them.

The filters of Slaney, "An Efficient Implementation of the Patterson-Holdsworth
Auditory Filter Bank", Apple Technical Report 35, 1993, spaced evenly on the
ERB-number scale, with the bandwidths of Glasberg and Moore (1990): ERB(f) =
24.7 + f / 9.26449 Hz. They are applied by transforms of whole blocks, in
float32.
"""

import functools

import numpy as np
import scipy.fft

EAR_Q = 9.26449
MINIMUM_BANDWIDTH_HZ = 24.7
# Of a gammatone of fourth order: its bandwidth parameter over its ERB.
_ERB_FACTOR = 1.019
# By then the response of the narrowest filter, 24.7 Hz wide, has fallen by
# more than 180 dB below its peak.
RESPONSE_SECONDS = 0.2
_GROUP = 8  # Bands whose frames stay in the cache.


def erb_hz(frequency_hz: np.ndarray) -> np.ndarray:
  """Equivalent rectangular bandwidths of the ear's filters, in Hz."""
  return MINIMUM_BANDWIDTH_HZ + frequency_hz / EAR_Q


def centre_frequencies(
  sample_rate: int, bands: int, lowest_hz: float
) -> np.ndarray:
  """Centres in equal steps of ERB number from half the rate down.

  Args:
    sample_rate: in Hz.
    bands: how many.
    lowest_hz: the last centre. The first is a step below half the rate.

  Returns:
    `[bands]` in Hz, falling.
  """
  offset = EAR_Q * MINIMUM_BANDWIDTH_HZ
  steps = np.arange(1, bands + 1) / bands
  highest = sample_rate / 2 + offset
  return highest * ((lowest_hz + offset) / highest) ** steps - offset


def sections(sample_rate: int, centre_hz: np.ndarray) -> np.ndarray:
  """Coefficients of the filters, four sections of second order each.

  The impulse-invariant transform of t^3 exp(-2 pi b t) cos(2 pi f t) with
  b = 1.019 ERB(f): one pair of poles four times, and four real zeros.

  Args:
    sample_rate: in Hz.
    centre_hz: `[bands]`.

  Returns:
    `[bands, 4, 6]` as SciPy's `sosfilt` takes them, the gain of each section 1
    at the centre.
  """
  angle = 2 * np.pi * np.asarray(centre_hz, np.float64)[:, None] / sample_rate
  width = 2 * np.pi * _ERB_FACTOR * erb_hz(centre_hz)[:, None] / sample_rate
  slopes = np.sqrt(3 + np.array([1, 1, -1, -1]) * 2**1.5) * [1, -1, 1, -1]
  radius = np.exp(-width)

  filters = np.zeros((len(centre_hz), 4, 6))
  filters[..., 0] = 1.0
  filters[..., 1] = -radius * (np.cos(angle) + slopes * np.sin(angle))
  filters[..., 3] = 1.0
  filters[..., 4] = -2 * radius * np.cos(angle)
  filters[..., 5] = radius**2
  filters[..., :3] /= np.abs(_evaluate(filters, np.exp(-1j * angle)))[..., None]
  return filters


@functools.lru_cache(maxsize=4)
def responses(
  size: int, sample_rate: int, bands: int, lowest_hz: float
) -> np.ndarray:
  """Frequency responses of a bank, at the bins of a real transform.

  Args:
    sample_rate: in Hz.
    size: samples of the transform.
    bands: as of `centre_frequencies`.
    lowest_hz: likewise.

  Returns:
    `[bands, size // 2 + 1]` complex64, not to be written to.
  """
  filters = sections(
    sample_rate, centre_frequencies(sample_rate, bands, lowest_hz)
  )
  delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
  bank = np.empty((bands, size // 2 + 1), np.complex64)
  for band, cascade in enumerate(filters):
    bank[band] = _evaluate(cascade[:, None], delay).prod(axis=0)
  bank.flags.writeable = False
  return bank


def frame_correlations(
  target: np.ndarray,
  estimates: list[np.ndarray],
  bank: np.ndarray,
  *,
  frame: int,
  count: int,
  lag: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Largest correlations of a block's frames behind each filter.

  Args:
    target: `[size]` float32, of an even size: what the filters still respond
      to, then the frames.
    estimates: the same of each estimate.
    bank: `[bands, size // 2 + 1]`, as `responses` gives them.
    frame: samples of a frame.
    count: how many frames end the block.
    lag: largest lag in samples.

  Returns:
    Over lags within ±`lag`, the maximum of the correlation inside a frame, over
    the root of both energies there, `[estimates, bands, count]`; the estimates'
    energies, of that shape; and those of the target, `[bands, count]`.
  """
  spectra = [scipy.fft.rfft(block) for block in (target, *estimates)]
  padded = scipy.fft.next_fast_len(frame + lag, real=True)
  energies = np.empty((len(spectra), len(bank), count), np.float32)
  correlations = np.empty_like(energies[1:])
  for low in range(0, len(bank), _GROUP):
    group = slice(low, low + _GROUP)
    for k, spectrum in enumerate(spectra):
      outputs = scipy.fft.irfft(spectrum * bank[group], overwrite_x=True)
      frames = outputs[:, -count * frame :].reshape(-1, count, frame)
      energies[k, group] = np.einsum("bfi,bfi->bf", frames, frames)
      transformed = scipy.fft.rfft(frames, padded)
      if k == 0:
        reference = transformed.conj()
        continue
      transformed *= reference
      sums = scipy.fft.irfft(transformed, padded, overwrite_x=True)
      # Circular, negative lags last; the padding keeps them apart.
      later = sums[..., : lag + 1].max(axis=-1)
      earlier = sums[..., padded - lag :].max(axis=-1, initial=-np.inf)
      correlations[k - 1, group] = np.maximum(later, earlier)
  norms = np.sqrt(energies[1:] * energies[:1])
  correlations /= np.maximum(norms, np.finfo(np.float32).tiny)
  return np.minimum(correlations, 1.0), energies[1:], energies[0]


def _evaluate(filters: np.ndarray, delay: np.ndarray) -> np.ndarray:
  """The sections' transfer functions where z^-1 is `delay`."""
  b0, b1, b2, _, a1, a2 = np.moveaxis(filters, -1, 0)
  return (b0 + (b1 + b2 * delay) * delay) / (1 + (a1 + a2 * delay) * delay)
