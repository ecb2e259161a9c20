"""Finds how the recording of a device's output fits the one of its input.

A device delays, inverts, amplifies and filters besides what it is there for,
and two recorders have two clocks. `analyse` measures one lag in whole samples,
the polarity, a gain and how steady the lag is; `fault` names what these cannot
mend.

The lag is the peak, of either sign, of the whitened correlation (see
`audio.alignment`) in the part where it is clearest: with a drift, no lag fits
all of the recording.

A lag that wanders by up to 125 µs is accepted, 2 samples at 16 kHz and 5.5 at
44.1 kHz: filters turn the phase as notes decay, which alone moves it by 75 µs
in real pairs of 5 s, and for some as steadily as a drift of 20 ppm would. So a
drift of two clocks is accepted, and not undone, up to 250 µs from end to end:
about 25 ppm in 10 s, 4 ppm in a minute. `drift_ppm` reports what is left.
"""

import dataclasses
import math

import numpy as np
import scipy.stats

from distortion_removal.audio import alignment

MAX_LAG_SECONDS = 0.5
MAX_DEVIATION_SECONDS = 125e-6
MIN_SECONDS = 2.0  # three windows
# Parts that decide the lag, and windows that check it everywhere.
_PART_SECONDS, _MAX_PARTS = 5.0, 16
_WINDOW_SECONDS, _MAX_WINDOWS = 1.0, 64
_NEAR_SECONDS = 0.02  # how far from the lag a window's own is looked for
_SOUND = 1e-4  # energy of a window with sound, relative to the loudest window
# Least peak in multiples of the RMS, and the largest rival relative to it.
# Twelve real pairs had 7.6 to 67, 0.83 at most, and 3 to 8 of 8 windows.
# Unrelated recordings may have any such peak, where both hold a note or a drum
# alike, but not throughout: 1118 pairs of 20 s had 5 of 39 windows at most. Of
# 1120 pairs of 5 s one was taken, with 5 of 8 windows.
_CLEAR, _AMBIGUOUS = 7.0, 0.85
_CLEAR_WINDOW, _MIN_WINDOWS, _MIN_WINDOW_SHARE = 6.0, 3, 0.25


@dataclasses.dataclass(frozen=True)
class Pairing:
  """How an output fits its input.

  Attributes:
    lag_samples: how much it comes late; the median over the recording.
    polarity: -1 if it is inverted, else 1.
    gain_db: gain to the energy of the input. Not the least squares' gain, which
      falls with the correlation: a device that turns the phase would come out
      too quiet, and one turned up most of all.
    clarity: the correlation's peak, in multiples of its RMS.
    rival: the largest other peak, relative to it.
    rival_samples: that peak's lag.
    windows: windows of a second with sound, in the common part.
    clear_windows: those that have a clear lag nearby.
    drift_ppm: slope of the lag over time (Theil, Sen); positive if the output
      is the longer one.
    deviation_samples: largest distance of a window's lag from the lag.
    residual_db: energy of the output, after the gain, that is not the input,
      relative to the input; 3 where they are uncorrelated.
  """

  lag_samples: int
  polarity: int
  gain_db: float
  clarity: float
  rival: float
  rival_samples: int
  windows: int
  clear_windows: int
  drift_ppm: float
  deviation_samples: float
  residual_db: float


def analyse(
  clean: np.ndarray, output: np.ndarray, sample_rate: int
) -> Pairing | None:
  """Finds how an output fits its input, at most `MAX_LAG_SECONDS` off.

  Both are `[time, channels]` float32, of any lengths.

  Returns:
    The measurements, which may have a `fault`; None if the common part is
    shorter than `MIN_SECONDS` or either side is silent.
  """
  length = min(len(clean), len(output))
  shortest = round(MIN_SECONDS * sample_rate)
  if length < shortest or not (clean.any() and output.any()):
    return None
  part = min(length, round(_PART_SECONDS * sample_rate))
  starts = alignment.part_starts(length, part, _MAX_PARTS)
  max_lag = min(round(MAX_LAG_SECONDS * sample_rate), part // 2)
  curves = alignment.correlate_parts(
    output, clean, starts, part, max_lag=max_lag
  )
  curve = curves[np.abs(curves).max(axis=1).argmax()]
  peak = alignment.find_peak(np.abs(curve), sample_rate)
  polarity = int(np.sign(curve[peak.lag + max_lag]))
  windows, times, lags = _follow(clean, output, peak.lag, polarity, sample_rate)
  lag = round(float(np.median(lags))) if len(lags) else peak.lag
  sides = alignment.common_part([clean, output], [0, lag])
  if len(sides[0]) < shortest or not all(side.any() for side in sides):
    return None
  energy = [np.sum(side**2, dtype=np.float64) for side in sides]
  product = polarity * np.sum(sides[0] * sides[1], dtype=np.float64)
  correlation = product / np.sqrt(energy[0] * energy[1])
  slope = scipy.stats.theilslopes(lags, times)[0] if len(lags) > 1 else 0.0
  return Pairing(
    lag_samples=lag,
    polarity=polarity,
    gain_db=float(10 * np.log10(energy[0] / energy[1])),
    clarity=peak.height,
    rival=peak.rival,
    rival_samples=peak.rival_lag,
    windows=windows,
    clear_windows=len(lags),
    drift_ppm=float(1e6 * slope),
    deviation_samples=float(np.abs(lags - lag).max(initial=0.0)),
    residual_db=float(10 * np.log10(max(2 - 2 * correlation, 1e-12))),
  )


def fault(pairing: Pairing | None, sample_rate: int) -> str | None:
  """Returns why a pair cannot be trained on; None if it can."""
  if pairing is None:
    return f"silent, or less than {MIN_SECONDS:g} s in common"
  needed = max(_MIN_WINDOWS, math.ceil(_MIN_WINDOW_SHARE * pairing.windows))
  if pairing.clarity < _CLEAR or pairing.clear_windows < needed:
    return (
      f"no lag fits, of up to {MAX_LAG_SECONDS:g} s: the best, "
      f"{pairing.lag_samples} samples, has a clarity of {pairing.clarity:.1f} "
      f"and {pairing.clear_windows} clear windows of {pairing.windows}, "
      f"{_CLEAR:g} and {needed} are needed"
    )
  if pairing.rival > _AMBIGUOUS:
    return (
      f"ambiguous: lags of {pairing.lag_samples} and {pairing.rival_samples} "
      "samples fit alike"
    )
  if pairing.deviation_samples > MAX_DEVIATION_SECONDS * sample_rate:
    return (
      f"the lag does not stay: {pairing.deviation_samples:.1f} samples off "
      f"somewhere, drift {pairing.drift_ppm:+.1f} ppm"
    )
  return None


def align(
  clean: np.ndarray, output: np.ndarray, pairing: Pairing
) -> tuple[np.ndarray, np.ndarray]:
  """Cuts both to their common part; the output gets the input's energy."""
  sides = alignment.common_part([clean, output], [0, pairing.lag_samples])
  gain = pairing.polarity * 10 ** (pairing.gain_db / 20)
  return sides[0], sides[1] * np.float32(gain)


def _follow(
  clean: np.ndarray,
  output: np.ndarray,
  lag: int,
  polarity: int,
  sample_rate: int,
) -> tuple[int, np.ndarray, np.ndarray]:
  """Measures the lag in windows, to fractions of a sample by a parabola.

  Returns:
    The number of windows with sound, and of those with a clear lag the times
    and lags in samples.
  """
  window = round(_WINDOW_SECONDS * sample_rate)
  near = round(_NEAR_SECONDS * sample_rate)
  end = min(len(clean), len(output) - lag)
  starts = alignment.part_starts(end, window, _MAX_WINDOWS)
  energy = np.array([np.sum(clean[n : n + window] ** 2) for n in starts])
  starts = starts[energy >= _SOUND * energy.max()]
  curves = polarity * alignment.correlate_parts(
    output, clean, starts, window, max_lag=near, around=lag
  )
  times, lags = [], []
  for start, curve in zip(starts, curves, strict=True):
    # Without the ends, which have no neighbour for the parabola.
    peak = alignment.find_peak(curve[1:-1], sample_rate)
    if peak.height < _CLEAR_WINDOW or peak.rival > _AMBIGUOUS:
      continue
    left, top, right = curve[peak.lag + near - 1 : peak.lag + near + 2]
    bend = min(left - 2 * top + right, -np.finfo(np.float32).tiny)
    offset = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
    times.append(start + window / 2)
    lags.append(lag + peak.lag + offset)
  return len(starts), np.array(times), np.array(lags)
