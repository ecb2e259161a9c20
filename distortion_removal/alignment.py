"""Finding and removing the lag between two recordings of the same music.

Metrics compare sample by sample, while codecs, plug-ins and recording chains
delay. One lag for the whole recording is looked for, in whole samples: drift
and fractions of a sample stay, and count as distortion.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft

from distortion_removal import cores

# Between 23 pairs of different recordings at least 0.989 was left.
_UNRELATED = 0.95
_TIE = 1e-4
_BLOCK = 1 << 17


def find_lag(estimate: np.ndarray, target: np.ndarray, *, max_lag: int) -> int:
  """How many samples an estimate comes late.

  With the mean of every channel removed and all channels summed, the lag is
  where the cross-correlation

      r(l) = sum_n e(n + l) t(n),   |l| <= max_lag,

  over all that a lag can bring together, leaves the least error after the best
  gain, 1 - r(l)^2 / (||e||^2 ||t||^2); the smallest |l| of those within 0.01 %
  of it, so that what repeats itself stays. The sign does not matter, so an
  inverted estimate is found, too. Where more than 95 % is left, the signals
  have next to nothing in common, and stay where they are.

  It works in blocks, in less memory than the audio takes.

  Args:
    estimate: `[time, channels]`.
    target: `[time, channels]`; its length may be another.
    max_lag: the largest lag to look for, in samples.

  Returns:
    The lag in samples: sample n of the target is sample n + lag of the
    estimate. 0 if either is silent, constant, or not finite.

  Raises:
    ValueError: the channel counts differ.
  """
  if estimate.shape[1] != target.shape[1]:
    raise ValueError(
      f"channel counts differ: {estimate.shape[1]} and {target.shape[1]}"
    )
  max_lag = max(0, min(max_lag, max(len(estimate), len(target))))
  estimate = estimate[: len(target) + max_lag]
  target = target[: len(estimate) + max_lag]
  if not (max_lag and _varies(estimate) and _varies(target)):
    return 0
  energies = _energy(estimate) * _energy(target)
  strength = _correlation(estimate, target, max_lag) ** 2 / energies
  # Above rounding, which is not to choose between equals.
  left = np.maximum(1.0 - strength, 1e-12)
  best = left.min()
  if best > _UNRELATED:
    return 0
  lags = np.flatnonzero(left <= (1.0 + _TIE) * best) - max_lag
  return int(lags[np.abs(lags).argmin()])


def common_part(
  signals: Sequence[np.ndarray], lags: Sequence[int]
) -> list[np.ndarray]:
  """Removes the lags of signals, and what not all of them have.

  Args:
    signals: `[time, channels]` each, of any length.
    lags: of each, in samples, see `find_lag`; that of the target is 0.

  Returns:
    Views `[time, channels]` of one length, of none where nothing is common.
  """
  start = max(-lag for lag in lags)
  pairs = list(zip(signals, lags, strict=True))
  stop = max(start, min(len(signal) - lag for signal, lag in pairs))
  return [signal[start + lag : stop + lag] for signal, lag in pairs]


def _varies(audio: np.ndarray) -> bool:
  """Whether it is finite, and neither silent nor constant."""
  return bool(
    len(audio) and np.isfinite(audio).all() and np.ptp(audio, axis=0).any()
  )


def _energy(audio: np.ndarray) -> float:
  """Of all channels, without their means."""
  mean = audio.mean(axis=0, dtype=np.float64)
  blocks = (audio[k : k + _BLOCK] for k in range(0, len(audio), _BLOCK))
  return float(sum(np.sum((block - mean) ** 2) for block in blocks))


def _correlation(
  estimate: np.ndarray, target: np.ndarray, max_lag: int
) -> np.ndarray:
  """r(l) from -max_lag to max_lag, summed over blocks of the target."""
  means = [x.mean(axis=0, dtype=np.float64) for x in (estimate, target)]
  block = min(max(_BLOCK, 4 * max_lag), len(target))
  size = scipy.fft.next_fast_len(block + 2 * max_lag, real=True)
  total = np.zeros(size)
  for start in range(0, len(target), block):
    segment = target[start : start + block] - means[1]
    before, after = start - max_lag, start + block + max_lag
    around = estimate[max(before, 0) : after] - means[0]
    around = np.pad(around, ((max(-before, 0), 0), (0, 0)))
    spectra = [
      scipy.fft.rfft(x.T, size, workers=cores.available())
      for x in (around, segment)
    ]
    product = np.sum(spectra[0] * spectra[1].conj(), axis=0)
    total += scipy.fft.irfft(product, size)
  return total[: 2 * max_lag + 1]
