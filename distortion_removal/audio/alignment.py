"""Finds and removes the lag between two recordings of the same music.

Metrics compare sample by sample, while codecs, plug-ins, pedals and recording
chains delay. The lag is where the generalised cross-correlation with the phase
transform (GCC-PHAT) [1] has its peak: the plain correlation of distorted notes
has a peak every period.

Long recordings are correlated in parts, each tapered on its own. Files that
were cut in mid-sound otherwise fit best where their edges do: with real pedals
that moved the peak by 41 samples, half a period of a strong partial, and gave
it the sign of the two edges.

[1] Knapp, Carter, "The generalized correlation method for estimation of time
delay", IEEE Trans. Acoustics, Speech and Signal Processing, 1976.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.fft

from distortion_removal.common import cores

# Floors of the whitening relative to the mean magnitude, for frequencies that
# hold next to nothing: in tapered parts, and in whole recordings.
_PART_FLOOR, _WHOLE_FLOOR = 0.01, 0.1
_BLOCK_SAMPLES = 1 << 17
_PART_SAMPLES, _MAX_PARTS = 1 << 15, 16
# Least peak of tapered parts, in multiples of the RMS, and the largest rival
# relative to it. Of 48 excerpts of real pedals, 1.5 and 4 s long and cut in
# mid-sound, 41 had such a peak, at most 3 samples off.
_CLEAR_IN_PARTS, _AMBIGUOUS = 8.0, 0.85
# Least peak of whole recordings, ends included. Unrelated recordings reached 9
# (6 s) and 13 (1.5 s); overdriven, clipped and filtered copies had at least 20,
# real pedals 22.
_CLEAR_IN_WHOLE = 14.0
# What the error must fall to for the first step away from the peak, and for
# each later one: phase shifts of devices lower it slowly, a delayed pure tone
# does so fast.
_FIRST_STEP, _NEXT_STEP = 0.99, 0.8


class Peak(NamedTuple):
  """The largest value of a whitened correlation.

  Attributes:
    lag: its lag in samples.
    height: its value, in multiples of the RMS over all lags.
    rival_lag: lag of the largest magnitude beyond the peak's slopes.
    rival: that magnitude relative to `height`; 1 where there is no peak.
  """

  lag: int
  height: float
  rival_lag: int
  rival: float


def find_lag(estimate: np.ndarray, target: np.ndarray, *, max_lag: int) -> int:
  """Finds how many samples an estimate comes late.

  One lag for the whole recording, in whole samples: drift and fractions of a
  sample stay, and count as distortion. It is the peak, of either sign, of the
  tapered parts' summed correlation. Where that is not clear or has a rival, the
  whole recordings decide, ends included: of a single note, only the attack
  tells a lag from a period. From there the lag moves to where the error after
  the best gain is clearly smaller, for the peaks of pure tones are blunt.

  Memory stays below that of the audio.

  Args:
    estimate: `[time, channels]`.
    target: `[time, channels]`, of as many channels.
    max_lag: the largest lag to look for, in samples.

  Returns:
    The lag: sample n of the target is sample n + lag of the estimate. 0 where
    no peak is clear, and for silent, constant or non-finite audio.
  """
  counts = estimate.shape[1], target.shape[1]
  if counts[0] != counts[1]:  # NumPy would spread a single channel.
    raise ValueError(f"channel counts differ: {counts[0]} and {counts[1]}")
  max_lag = max(0, min(max_lag, max(len(estimate), len(target))))
  estimate = estimate[: len(target) + max_lag]
  target = target[: len(estimate) + max_lag]
  if not (max_lag and _varies(estimate) and _varies(target)):
    return 0
  spectrum, size = _block_spectrum(estimate, target, max_lag)
  lag = _lag_of_parts(estimate, target, max_lag)
  if lag is None:
    lag = _lag_of_whole(spectrum, size, max_lag)
  if lag is None:
    return 0
  correlation = scipy.fft.irfft(spectrum, size)[: 2 * max_lag + 1]
  error = 1.0 - correlation**2 / (_energy(estimate) * _energy(target))
  return _descend(error, lag + max_lag) - max_lag


def common_part(
  signals: Sequence[np.ndarray], lags: Sequence[int]
) -> list[np.ndarray]:
  """Removes lags, and what not all signals have.

  Args:
    signals: `[time, channels]` each, of any length.
    lags: each signal's lag in samples, see `find_lag`; 0 for the target.

  Returns:
    Views `[time, channels]` of one length, which may be 0.
  """
  start = max(-lag for lag in lags)
  pairs = list(zip(signals, lags, strict=True))
  stop = max(start, min(len(signal) - lag for signal, lag in pairs))
  return [signal[start + lag : stop + lag] for signal, lag in pairs]


def part_starts(length: int, part: int, max_parts: int) -> np.ndarray:
  """Spreads parts evenly over a recording; they overlap by at most a half."""
  count = min(max_parts, max(1, 2 * length // part - 1))
  return np.linspace(0, length - part, count).round().astype(int)


def correlate_parts(
  estimate: np.ndarray,
  target: np.ndarray,
  starts: np.ndarray,
  part: int,
  *,
  max_lag: int,
  around: int = 0,
) -> np.ndarray:
  """Correlates tapered parts at lags `around - max_lag … around + max_lag`.

  Args:
    estimate: `[time, channels]`.
    target: `[time, channels]`, possibly of another length.
    starts: where the target's parts start, in samples; the estimate's start
      `around` later.
    part: samples of a part.
    max_lag: less than `part`.
    around: lag in the middle of the curves.

  Returns:
    `[parts, 2 max_lag + 1]` whitened correlations, channels summed, each in
    multiples of its own RMS over all lags; 0 where a part is silent.
  """
  size = scipy.fft.next_fast_len(part + max_lag, real=True)
  spectra = [
    _cross_spectrum(
      _tapered(estimate, start + around, part),
      _tapered(target, start, part),
      size,
    )
    for start in starts
  ]
  # Relative to all parts, so that near silence does not count as much.
  floor = _PART_FLOOR * np.mean([np.abs(s).mean() for s in spectra])
  curves = [_whitened(spectrum, size, floor) for spectrum in spectra]
  return np.stack([np.roll(c, max_lag)[: 2 * max_lag + 1] for c in curves])


def find_peak(curve: np.ndarray, sample_rate: int) -> Peak:
  """Finds the largest value of `[2 max_lag + 1]` and its rival's magnitude."""
  middle = len(curve) // 2
  place = int(curve.argmax())
  height = float(curve[place])
  slope = max(1, round(5e-4 * sample_rate))  # Half a millisecond each side.
  others = np.abs(curve)
  others[max(0, place - slope) : place + slope + 1] = 0.0
  other = int(others.argmax())
  rival = float(others[other]) / height if height > 0 else 1.0
  return Peak(place - middle, height, other - middle, rival)


def _lag_of_parts(
  estimate: np.ndarray, target: np.ndarray, max_lag: int
) -> int | None:
  """Finds the lag of tapered parts together; None if it is not clear."""
  length = max(len(estimate), len(target))
  part = min(length, max(_PART_SAMPLES, 4 * max_lag))
  starts = part_starts(length, part, _MAX_PARTS)
  curves = correlate_parts(estimate, target, starts, part, max_lag=max_lag)
  sounding = max(1, np.count_nonzero(curves.any(axis=1)))
  # In multiples of the RMS of parts that have nothing in common.
  strength = np.abs(curves.sum(axis=0)) / np.sqrt(sounding)
  peak = find_peak(strength, 48_000)  # At any rate: the widest slopes.
  is_clear = peak.height >= _CLEAR_IN_PARTS and peak.rival <= _AMBIGUOUS
  return peak.lag if is_clear else None


def _lag_of_whole(spectrum: np.ndarray, size: int, max_lag: int) -> int | None:
  """Finds the lag of the whole recordings; None if it is not clear.

  Of peaks within 2 % it takes the one with the smallest lag: what repeats
  itself stays.
  """
  floor = _WHOLE_FLOOR * np.abs(spectrum).mean()
  strength = np.abs(_whitened(spectrum, size, floor))[: 2 * max_lag + 1]
  if strength.max() < _CLEAR_IN_WHOLE:
    return None
  padded = np.pad(strength, 1)
  is_peak = strength >= np.maximum(padded[:-2], padded[2:])
  is_peak &= strength >= 0.98 * strength.max()
  lags = np.flatnonzero(is_peak) - max_lag
  return int(lags[np.abs(lags).argmin()])


def _descend(error: np.ndarray, start: int) -> int:
  """Steps to a neighbour as long as that is clearly better."""
  place, worth = start, _FIRST_STEP
  while True:
    neighbours = [k for k in (place - 1, place + 1) if 0 <= k < len(error)]
    best = min(neighbours, key=lambda k: error[k], default=place)
    if error[best] >= worth * error[place]:
      return place
    place, worth = best, _NEXT_STEP


def _varies(audio: np.ndarray) -> bool:
  """Returns whether audio is finite, and neither silent nor constant."""
  return bool(
    len(audio) and np.isfinite(audio).all() and np.ptp(audio, axis=0).any()
  )


def _energy(audio: np.ndarray) -> float:
  """Sums the squares of all channels, without their means."""
  mean = audio.mean(axis=0, dtype=np.float64)
  starts = range(0, len(audio), _BLOCK_SAMPLES)
  blocks = (audio[k : k + _BLOCK_SAMPLES] for k in starts)
  return float(sum(np.sum((block - mean) ** 2) for block in blocks))


def _block_spectrum(
  estimate: np.ndarray, target: np.ndarray, max_lag: int
) -> tuple[np.ndarray, int]:
  """Sums the cross-spectra of the target's blocks, without channel means.

  Returns:
    The transform of r(l) = sum_n estimate(n + l) target(n) from l = -max_lag
    on, and its size.
  """
  means = [x.mean(axis=0, dtype=np.float64) for x in (estimate, target)]
  block = min(max(_BLOCK_SAMPLES, 4 * max_lag), len(target))
  size = scipy.fft.next_fast_len(block + 2 * max_lag, real=True)
  total = np.zeros(size // 2 + 1, np.complex128)
  for start in range(0, len(target), block):
    segment = target[start : start + block] - means[1]
    before, after = start - max_lag, start + block + max_lag
    around = estimate[max(before, 0) : after] - means[0]
    around = np.pad(around, ((max(-before, 0), 0), (0, 0)))
    total += _cross_spectrum(around, segment, size)
  return total, size


def _cross_spectrum(
  estimate: np.ndarray, target: np.ndarray, size: int
) -> np.ndarray:
  """Transforms sum_n estimate(n + l) target(n), channels summed."""
  spectra = [
    scipy.fft.rfft(side.T, size, workers=cores.available())
    for side in (estimate, target)
  ]
  return np.sum(spectra[0] * spectra[1].conj(), axis=0)


def _whitened(spectrum: np.ndarray, size: int, floor: float) -> np.ndarray:
  """Returns `[size]` correlations by lag, in multiples of their RMS.

  Negative lags are at the end; frequencies of magnitude `floor` count by half.
  """
  floor += np.finfo(np.float32).tiny
  white = scipy.fft.irfft(spectrum / (np.abs(spectrum) + floor), size)
  return white / (np.sqrt(np.mean(white**2)) or 1.0)


def _tapered(audio: np.ndarray, start: int, length: int) -> np.ndarray:
  """Cuts out `[length, channels]`, zeros outside; fades what there is."""
  part = audio[max(start, 0) : max(start + length, 0)]
  taper = np.hanning(len(part) + 2)[1:-1].astype(np.float32)
  before = min(max(-start, 0), length)
  margins = ((before, length - before - len(part)), (0, 0))
  return np.pad(taper[:, None] * part, margins)
