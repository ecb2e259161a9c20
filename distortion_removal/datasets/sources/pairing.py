"""How the recording of a device's output lies to the one of its input.

A device delays, inverts, amplifies and filters besides what it is there for,
and two recorders have two clocks. Found are one lag in whole samples, the
polarity, a gain, and whether the lag stays the same; `fault` tells what these
cannot mend.

The lag is where the whitened correlation has its peak, of either sign, see
`whitened.py`: in the part of the recording where it is clearest, for with a
drift no lag fits all of it.

A lag that wanders by up to 125 µs is accepted, 2 samples at 16 kHz and 5.5 at
44.1 kHz: filters turn the phase as notes decay, which alone moves it by 75 µs
in real pairs of 5 s, and for some as steadily as a drift of 20 ppm would. So a
drift of two clocks is accepted, and not undone, up to 250 µs from end to end:
about 25 ppm in 10 s, 4 ppm in a minute. What is left is in `drift_ppm`.
"""

import dataclasses
import math

import numpy as np
import scipy.stats

from distortion_removal.audio import whitened
from distortion_removal.audio.alignment import common_part

MAX_LAG_SECONDS = 0.5
MAX_DEVIATION_SECONDS = 125e-6
MIN_SECONDS = 2.0  # three windows
# Parts that decide the lag, and windows that check it everywhere.
_PART_SECONDS, _MOST_PARTS = 5.0, 16
_WINDOW_SECONDS, _MOST_WINDOWS = 1.0, 64
_NEAR_SECONDS = 0.02  # how far a window may be off to be found
_SOUND = 1e-4  # energy of a window that carries sound, of the loudest one's
# The peak in multiples of the correlation's RMS, and the largest other one
# relative to it. Twelve real pairs had 7.6 to 67, 0.83 at most, and 3 to 8 of 8
# windows. Recordings with nothing in common may have any such peak, where both
# hold a note or a drum alike, but not throughout: 1118 pairs of 20 s had 5 of
# 39 windows at most. Of 1120 pairs of 5 s one was taken, with 5 of 8 windows.
_CLEAR, _AMBIGUOUS = 7.0, 0.85
_CLEAR_WINDOW, _WINDOWS_NEEDED, _SHARE_NEEDED = 6.0, 3, 0.25


@dataclasses.dataclass(frozen=True)
class Pairing:
  """How an output lies to its input.

  Attributes:
    lag_samples: how much it comes late; the median over the recording.
    polarity: -1 if it is inverted, else 1.
    gain_db: what brings it to the energy of the input. Not the least squares'
      gain, which falls with the correlation: a device that turns the phase
      would come out too quiet, and one turned up most of all.
    clarity: the peak of the correlation, in multiples of its RMS.
    rival: the largest other peak, relative to it, and `rival_samples`: where.
    windows: how many windows of a second were examined: those with sound, of
      what both have in common.
    clear_windows: how many of them have a clear lag nearby.
    drift_ppm: slope of the lag over time (Theil, Sen); positive if the output
      is the longer one.
    deviation_samples: the largest distance of a window's lag from the lag.
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
  """Finds how an output lies to its input, up to `MAX_LAG_SECONDS` off.

  Args:
    clean: the device's input, `[time, channels]` float32.
    output: `[time, channels]`, of any length.
    sample_rate: of both, in Hz.

  Returns:
    What was found, which may have a `fault`; None if what both have in common
    is shorter than `MIN_SECONDS`, or either is silent.
  """
  length = min(len(clean), len(output))
  shortest = round(MIN_SECONDS * sample_rate)
  if length < shortest or not (clean.any() and output.any()):
    return None
  part = min(length, round(_PART_SECONDS * sample_rate))
  starts = whitened.starts(length, part, _MOST_PARTS)
  reach = min(round(MAX_LAG_SECONDS * sample_rate), part // 2)
  curves = whitened.correlate(clean, output, starts, part, 0, reach)
  curve = curves[np.abs(curves).max(axis=1).argmax()]
  lag, clarity = whitened.peak(np.abs(curve))
  rival_samples, rival = whitened.rival(np.abs(curve), lag, sample_rate)
  polarity = int(np.sign(curve[lag + reach]))
  windows, times, lags = _follow(clean, output, lag, polarity, sample_rate)
  if len(lags):
    lag = round(float(np.median(lags)))
  sides = common_part([clean, output], [0, lag])
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
    clarity=clarity,
    rival=rival / clarity,
    rival_samples=rival_samples,
    windows=windows,
    clear_windows=len(lags),
    drift_ppm=float(1e6 * slope),
    deviation_samples=float(np.abs(lags - lag).max(initial=0.0)),
    residual_db=float(10 * np.log10(max(2 - 2 * correlation, 1e-12))),
  )


def fault(pairing: Pairing | None, sample_rate: int) -> str | None:
  """Why a pair cannot be trained on; None if it can.

  Args:
    pairing: from `analyse`.
    sample_rate: of the analysed audio, in Hz.
  """
  if pairing is None:
    return f"silent, or less than {MIN_SECONDS:g} s in common"
  needed = max(_WINDOWS_NEEDED, math.ceil(_SHARE_NEEDED * pairing.windows))
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
  """Both sides over what they have in common, the output made to fit.

  Args:
    clean: the device's input, `[time, channels]`.
    output: `[time, channels]`.
    pairing: from `analyse` of these two.

  Returns:
    Input and output, `[time, channels]` of one length, without lag, of one
    polarity and one energy.
  """
  clean, output = common_part([clean, output], [0, pairing.lag_samples])
  gain = pairing.polarity * 10 ** (pairing.gain_db / 20)
  return clean, output * np.float32(gain)


def _follow(
  clean: np.ndarray,
  output: np.ndarray,
  lag: int,
  polarity: int,
  sample_rate: int,
) -> tuple[int, np.ndarray, np.ndarray]:
  """How many windows have sound; times and lags of those with a clear lag.

  In samples; fractions of a lag come from a parabola.
  """
  length = round(_WINDOW_SECONDS * sample_rate)
  reach = round(_NEAR_SECONDS * sample_rate)
  end = min(len(clean), len(output) - lag)
  starts = whitened.starts(end, length, _MOST_WINDOWS)
  energy = np.array([np.sum(clean[n : n + length] ** 2) for n in starts])
  starts = starts[energy >= _SOUND * energy.max()]
  curves = polarity * whitened.correlate(
    clean, output, starts, length, lag, reach
  )
  places = curves[:, 1:-1].argmax(axis=1) + 1
  rows = np.arange(len(curves))
  left, top, right = (curves[rows, places + k] for k in (-1, 0, 1))
  others = [
    whitened.rival(np.abs(curve), place - reach, sample_rate)[1]
    for curve, place in zip(curves, places, strict=True)
  ]
  clear = (top >= _CLEAR_WINDOW) & (np.array(others) <= _AMBIGUOUS * top)
  bend = np.minimum(left - 2 * top + right, -np.finfo(np.float32).tiny)
  offset = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
  found = lag + places - reach + offset
  return len(starts), starts[clear] + length / 2, found[clear]
