"""Whitened correlations of parts of two recordings: where they fit.

The generalised cross-correlation with the phase transform [1]: a plain one of
distorted notes has a peak every period. Both sides are tapered alike. Two files
that were cut in mid-sound otherwise agree on their edges best: of real pedals
that put the peak 41 samples off, half a period of a strong partial, with the
sign of the two edges. The edges of blocks are no better than those of files,
so long recordings are correlated in parts that are tapered one by one.

[1] Knapp, Carter, "The generalized correlation method for estimation of time
delay", IEEE Trans. Acoustics, Speech and Signal Processing, 1976.
"""

import numpy as np
import scipy.fft

from distortion_removal.common import cores

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
  size = scipy.fft.next_fast_len(length + reach, real=True)
  cross = [
    cross_spectrum(
      _tapered(output, start + lag, length),
      _tapered(clean, start, length),
      size,
    )
    for start in starts
  ]
  # Relative to all parts, so that near silence does not count as much.
  floor = _FLOOR * np.mean([np.abs(spectrum).mean() for spectrum in cross])
  curves = [curve(spectrum, size, floor) for spectrum in cross]
  return np.stack([np.roll(each, reach)[: 2 * reach + 1] for each in curves])


def cross_spectrum(
  output: np.ndarray, clean: np.ndarray, size: int
) -> np.ndarray:
  """That of two sides, `[time, channels]` each, with the channels summed.

  Returns:
    `[size // 2 + 1]` complex: the transform of sum_n output(n + lag) clean(n).
  """
  spectra = [
    scipy.fft.rfft(side.T, size, workers=cores.available())
    for side in (output, clean)
  ]
  return np.sum(spectra[0] * spectra[1].conj(), axis=0)


def curve(spectrum: np.ndarray, size: int, floor: float) -> np.ndarray:
  """The whitened correlation of a cross-spectrum.

  Args:
    spectrum: `[size // 2 + 1]`, from `cross_spectrum`.
    size: of the transform.
    floor: magnitude of frequencies that count by half.

  Returns:
    `[size]`, by lag, negative ones at the end, in multiples of its RMS.
  """
  floor += np.finfo(np.float32).tiny
  white = scipy.fft.irfft(spectrum / (np.abs(spectrum) + floor), size)
  return white / (np.sqrt(np.mean(white**2)) or 1.0)


def _tapered(audio: np.ndarray, start: int, length: int) -> np.ndarray:
  """`[length, channels]` from any place, with zeros where there is nothing.

  The taper is over what there is.
  """
  part = audio[max(start, 0) : max(start + length, 0)]
  taper = np.hanning(len(part) + 2)[1:-1].astype(np.float32)
  before = min(max(-start, 0), length)
  around = ((before, length - before - len(part)), (0, 0))
  return np.pad(taper[:, None] * part, around)


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
