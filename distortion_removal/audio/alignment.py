"""Finding and removing the lag between two recordings of the same music.

Metrics compare sample by sample, while codecs, plug-ins and recording chains
delay. One lag for the whole recording is looked for, in whole samples: drift
and fractions of a sample stay, and count as distortion.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft

from distortion_removal.audio import whitened

_BLOCK = 1 << 17
# Parts, in samples, and how many: of a long recording they need not be all.
_PART, _MOST_PARTS = 1 << 15, 16
# The peak in multiples of the correlation's RMS, of tapered parts, and the
# largest other one relative to it. Of 48 excerpts of real pedals, 1.5 and 4 s
# long and cut in mid-sound, 41 had such a peak, at most 3 samples off.
_CLEAR_OF_PARTS, _AMBIGUOUS = 8.0, 0.85
_RATE = 48_000  # whose slopes are as wide as any, in samples
# The same of all of it, ends included. The largest of recordings that have
# nothing in common were 9 (6 s) and 13 (1.5 s); overdriven, clipped and
# filtered ones had 20 and more, real pedals 22.
_CLEAR = 14.0
_FLOOR = 0.1  # of the mean magnitude, for frequencies with next to nothing
_TIE = 0.98
# What the error must fall to for a step away from the peak, and for others:
# phase shifts of devices lower it slowly, a delay of a pure tone fast.
_FIRST_STEP, _STEP = 0.99, 0.8


def find_lag(estimate: np.ndarray, target: np.ndarray, *, max_lag: int) -> int:
  """How many samples an estimate comes late.

  Where the whitened correlation of tapered parts has its peak, of either sign,
  within `max_lag`, see `whitened.py`. Where it has none that is clear and has
  no rival, that of the whole recordings decides, ends included: of a single
  note the attack is all that tells a lag from periods. From there it goes where
  the error after the best gain is clearly smaller, a sample or few: the peaks
  of pure tones are blunt. Without any clear peak the lag is 0.

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

  Source: Knapp, Carter, "The generalized correlation method for estimation of
  time delay", IEEE Trans. Acoustics, Speech and Signal Processing, 1976 (phase
  transform).
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
  spectrum, size = _cross_spectrum(estimate, target, max_lag)
  peak = _peak_of_parts(estimate, target, max_lag)
  if peak is None:
    peak = _peak_of_all(spectrum, size, max_lag)
  if peak is None:
    return 0
  correlation = scipy.fft.irfft(spectrum, size)[: 2 * max_lag + 1]
  error = 1.0 - correlation**2 / (_energy(estimate) * _energy(target))
  return _descend(error, peak + max_lag) - max_lag


def _peak_of_parts(
  estimate: np.ndarray, target: np.ndarray, max_lag: int
) -> int | None:
  """The lag of tapered parts together; None if it is not clear."""
  length = max(len(estimate), len(target))
  part = min(length, max(_PART, 4 * max_lag))
  starts = whitened.starts(length, part, _MOST_PARTS)
  curves = whitened.correlate(target, estimate, starts, part, 0, max_lag)
  sounding = max(1, np.count_nonzero(curves.any(axis=1)))
  # In multiples of the RMS of parts that have nothing in common.
  strength = np.abs(curves.sum(axis=0)) / np.sqrt(sounding)
  lag, height = whitened.peak(strength)
  _, rival = whitened.rival(strength, lag, _RATE)
  clear = height >= _CLEAR_OF_PARTS and rival <= _AMBIGUOUS * height
  return lag if clear else None


def _peak_of_all(spectrum: np.ndarray, size: int, max_lag: int) -> int | None:
  """The lag of the whole recordings; None if it is not clear.

  Of peaks within 2 % the one with the smallest lag is taken, so that what
  repeats itself stays.
  """
  floor = _FLOOR * np.abs(spectrum).mean()
  within = np.abs(whitened.curve(spectrum, size, floor))[: 2 * max_lag + 1]
  if within.max() < _CLEAR:
    return None
  neighbours = np.pad(within, 1)
  is_peak = within >= np.maximum(neighbours[:-2], neighbours[2:])
  is_peak &= within >= _TIE * within.max()
  lags = np.flatnonzero(is_peak) - max_lag
  return int(lags[np.abs(lags).argmin()])


def _descend(error: np.ndarray, start: int) -> int:
  """Where steps that are worth it lead."""
  place, worth = start, _FIRST_STEP
  while True:
    beside = [k for k in (place - 1, place + 1) if 0 <= k < len(error)]
    best = min(beside, key=lambda k: error[k], default=place)
    if error[best] >= worth * error[place]:
      return place
    place, worth = best, _STEP


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


def _cross_spectrum(
  estimate: np.ndarray, target: np.ndarray, max_lag: int
) -> tuple[np.ndarray, int]:
  """The spectrum of r(l) from -max_lag on, and the size of its transform.

  r(l) = sum_n e(n + l) t(n), the channels' means removed and the channels
  summed, block after block of the target.
  """
  means = [x.mean(axis=0, dtype=np.float64) for x in (estimate, target)]
  block = min(max(_BLOCK, 4 * max_lag), len(target))
  size = scipy.fft.next_fast_len(block + 2 * max_lag, real=True)
  total = np.zeros(size // 2 + 1, np.complex128)
  for start in range(0, len(target), block):
    segment = target[start : start + block] - means[1]
    before, after = start - max_lag, start + block + max_lag
    around = estimate[max(before, 0) : after] - means[0]
    around = np.pad(around, ((max(-before, 0), 0), (0, 0)))
    total += whitened.cross_spectrum(around, segment, size)
  return total, size
