"""Alignment and correlation of frames, in blocks of a signal and in float32."""

from typing import NamedTuple

import numpy as np
import scipy.fft

from distortion_removal.metrics.si_sdr import LIMIT_DB

_COPY = 10 ** (-LIMIT_DB / 10)  # energy of a residual that SI-SDR ignores
_BLOCK_SAMPLES = 16_000
_GROUP = 8  # bands whose frames stay in the cache


class Signal(NamedTuple):
  """One channel, of which `part` reads as if its peak were 1 and its lag 0."""

  samples: np.ndarray
  peak: float
  lag: int = 0

  def part(self, start: int, length: int) -> np.ndarray:
    """Returns `[length]` float32 from `start` on, zeros outside the signal."""
    start += self.lag
    first, last = np.clip([start, start + length], 0, len(self.samples))
    part = np.zeros(length, np.float32)
    part[first - start : last - start] = self.samples[first:last] / self.peak
    return part


def align(estimate: Signal, target: Signal, max_lag: int) -> Signal:
  """Sets the lag to that of the largest correlation, within ±`max_lag`."""
  padded = scipy.fft.next_fast_len(_BLOCK_SAMPLES + 2 * max_lag, True)
  products = np.zeros(padded // 2 + 1, np.complex128)
  for start in range(0, len(target.samples), _BLOCK_SAMPLES):
    wide = estimate.part(start - max_lag, padded)
    narrow = target.part(start, _BLOCK_SAMPLES)
    products += scipy.fft.rfft(narrow, padded).conj() * scipy.fft.rfft(wide)
  correlation = scipy.fft.irfft(products, padded)[: 2 * max_lag + 1]
  return estimate._replace(lag=int(correlation.argmax()) - max_lag)


def is_copy(estimate: Signal, target: Signal) -> bool:
  """Tells whether an aligned estimate is the target but for a positive gain."""
  time = len(target.samples)
  first, last = max(0, -estimate.lag), min(time, time - estimate.lag)
  sums = np.zeros(3)
  for start in range(first, last, _BLOCK_SAMPLES):
    length = min(_BLOCK_SAMPLES, last - start)
    e, t = (np.float64(x.part(start, length)) for x in (estimate, target))
    sums += [np.einsum("i,i->", a, b) for a, b in ((e, e), (t, t), (e, t))]
  power = sums[0] * sums[1]
  return sums[2] > 0.0 and power - sums[2] ** 2 <= _COPY * power


def frame_correlations(
  target: np.ndarray,
  estimates: list[np.ndarray],
  responses: np.ndarray,
  *,
  frame: int,
  count: int,
  max_lag: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Finds the largest correlations of a block's frames behind each filter.

  Args:
    target: `[size]` float32, of an even size: the samples that the filters
      still respond to, then the frames.
    estimates: the same block of each estimate.
    responses: `[bands, size // 2 + 1]`, see `ear.frequency_responses`.
    frame: frame length in samples.
    count: number of frames, which end the block.
    max_lag: the largest lag in samples, either way.

  Returns:
    The maximum over lags of the correlation inside a frame, over the root of
    both energies there, `[estimates, bands, count]`; the estimates' energies,
    of that shape; and those of the target, `[bands, count]`.
  """
  spectra = [scipy.fft.rfft(block) for block in (target, *estimates)]
  padded = scipy.fft.next_fast_len(frame + max_lag, real=True)
  energies = np.empty((len(spectra), len(responses), count), np.float32)
  correlations = np.empty_like(energies[1:])
  for low in range(0, len(responses), _GROUP):
    group = slice(low, low + _GROUP)
    for k, spectrum in enumerate(spectra):
      outputs = scipy.fft.irfft(spectrum * responses[group], overwrite_x=True)
      frames = outputs[:, -count * frame :].reshape(-1, count, frame)
      energies[k, group] = np.einsum("bfi,bfi->bf", frames, frames)
      transformed = scipy.fft.rfft(frames, padded)
      if k == 0:
        reference = transformed.conj()
        continue
      transformed *= reference
      sums = scipy.fft.irfft(transformed, padded, overwrite_x=True)
      # Circular, negative lags last; the padding keeps them apart.
      later = sums[..., : max_lag + 1].max(axis=-1)
      earlier = sums[..., padded - max_lag :].max(axis=-1, initial=-np.inf)
      correlations[k - 1, group] = np.maximum(later, earlier)
  norms = np.sqrt(energies[1:] * energies[:1])
  correlations /= np.maximum(norms, np.finfo(np.float32).tiny)
  return np.minimum(correlations, 1.0), energies[1:], energies[0]
