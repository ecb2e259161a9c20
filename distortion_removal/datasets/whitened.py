"""Whitened correlations of parts of two recordings: where they fit.

The generalised cross-correlation with the phase transform [1]: a plain one of
distorted notes has a peak every period. Both sides are tapered alike. Two files
that were cut in mid-sound otherwise agree on their edges best: of real pedals
that put the peak 41 samples off, half a period of a strong partial, with the
sign of the two edges.

[1] Knapp, Carter, "The generalized correlation method for estimation of time
delay", IEEE Trans. Acoustics, Speech and Signal Processing, 1976.
"""

import numpy as np
import scipy.fft

from distortion_removal import cores

_FLOOR = 0.01  # of the mean magnitude, for frequencies with next to nothing
_SLOPE_SECONDS = 5e-4  # that a peak has to either side


def starts(length: int, part: int, most: int) -> np.ndarray:
  """Where at most so many parts begin that overlap by a half at most."""
  count = min(most, max(1, 2 * length // part - 1))
  return np.linspace(0, length - part, count).round().astype(int)


def correlate(
  clean: np.ndarray,
  output: np.ndarray,
  starts: np.ndarray,
  length: int,
  lag: int,
  reach: int,
) -> np.ndarray:
  """Correlates parts at lags from `lag - reach` to `lag + reach`.

  Args:
    clean: `[time, channels]`.
    output: `[time, channels]`, of any length.
    starts: of the parts, in samples of `clean`.
    length: of each part; the output's begin `lag` later.
    lag: around which to look, in samples.
    reach: how far, less than `length`.

  Returns:
    `[parts, 2 reach + 1]`, channels summed, each in multiples of its own RMS
    over all lags; 0 where a part is silent.
  """
  taper = np.hanning(length + 2)[1:-1].astype(np.float32)
  size = scipy.fft.next_fast_len(length + reach, real=True)
  magnitudes, cross = [], []
  for start in starts:
    spectra = [
      scipy.fft.rfft(taper * part.T, size, workers=cores.available())
      for part in (
        _part(output, start + lag, length),
        _part(clean, start, length),
      )
    ]
    cross.append(np.sum(spectra[0] * spectra[1].conj(), axis=0))
    magnitudes.append(np.abs(cross[-1]).mean())
  # Relative to all parts, so that near silence does not count as much.
  floor = _FLOOR * np.mean(magnitudes) + np.finfo(np.float32).tiny
  curves = []
  for spectrum in cross:
    curve = scipy.fft.irfft(spectrum / (np.abs(spectrum) + floor), size)
    rms = np.sqrt(np.mean(curve**2)) or 1.0
    curves.append(np.roll(curve, reach)[: 2 * reach + 1] / rms)
  return np.stack(curves)


def _part(audio: np.ndarray, start: int, length: int) -> np.ndarray:
  """`[length, channels]` from any place, with zeros where there is nothing."""
  part = audio[max(start, 0) : max(start + length, 0)]
  before = min(max(-start, 0), length)
  return np.pad(part, ((before, length - before - len(part)), (0, 0)))


def peak(strength: np.ndarray) -> tuple[int, float]:
  """Lag and height of the largest value of a curve around lag 0."""
  place = int(strength.argmax())
  return place - len(strength) // 2, float(strength[place])


def rival(
  strength: np.ndarray, lag: int, sample_rate: int
) -> tuple[int, float]:
  """Lag and height of the largest value beyond the slopes of a peak."""
  width = max(1, round(_SLOPE_SECONDS * sample_rate))
  place = lag + len(strength) // 2
  others = strength.copy()
  others[max(0, place - width) : place + width + 1] = 0.0
  return peak(others)
