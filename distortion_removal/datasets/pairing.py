"""How the recording of a device's output lies to the one of its input.

A device delays, inverts, amplifies and filters besides what it is there for,
and two recorders have two clocks. Found are one lag in whole samples, the
polarity, a gain, and whether the lag stays the same; `fault` tells what these
cannot mend.

The lag is where the whitened correlation has its peak, of either sign, see
`whitened.py`: in the part of the recording where it is clearest, for with a
drift no lag fits all of it.
"""

import dataclasses

import numpy as np
import scipy.stats

from distortion_removal.alignment import common_part
from distortion_removal.datasets import whitened

MAX_LAG_SECONDS = 0.5
MAX_DEVIATION_SECONDS = 125e-6  # two samples at 16 kHz
MIN_SECONDS = 1.5
# Parts that decide the lag, and windows that check it everywhere.
_PART_SECONDS, _MOST_PARTS = 5.0, 16
_WINDOW_SECONDS, _MOST_WINDOWS = 1.0, 64
_NEAR_SECONDS = 0.02  # how far a window may be off to be found
# The peak in multiples of the correlation's RMS, and the largest other one
# relative to it. Twelve real pairs had 7.6 to 67, 0.83 at most, and 3 to 8 of 8
# windows; 72 of recordings with nothing in common 5.1 to 7.5, 0.72 to 1, and 3
# windows at most, none of which agreed.
_CLEAR, _AMBIGUOUS = 7.0, 0.85
_CLEAR_WINDOW, _WINDOWS_NEEDED = 6.0, 2


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
    clear_windows: how many windows of a second have a clear lag nearby.
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
  clear_windows: int
  drift_ppm: float
  deviation_samples: float
  residual_db: float


def analyse(
  clean: np.ndarray,
  output: np.ndarray,
  sample_rate: int,
  *,
  max_lag_seconds: float = MAX_LAG_SECONDS,
) -> Pairing | None:
  """Finds how an output lies to its input.

  Args:
    clean: the device's input, `[time, channels]` float32.
    output: `[time, channels]`, of any length.
    sample_rate: of both, in Hz.
    max_lag_seconds: the largest lag to look for, of either sign.

  Returns:
    What was found, which may have a `fault`; None if what both have in common
    is shorter than `MIN_SECONDS`, or either is silent.
  """
  length, max_lag = min(len(clean), len(output)), max_lag_seconds * sample_rate
  shortest = round(MIN_SECONDS * sample_rate)
  if length < shortest or not (clean.any() and output.any()):
    return None
  part = min(length, round(_PART_SECONDS * sample_rate))
  starts = whitened.starts(length, part, _MOST_PARTS)
  reach = min(round(max_lag), part // 2)
  curves = whitened.correlate(clean, output, starts, part, 0, reach)
  curve = curves[np.abs(curves).max(axis=1).argmax()]
  lag, clarity = whitened.peak(np.abs(curve))
  rival_samples, rival = whitened.rival(np.abs(curve), lag, sample_rate)
  polarity = int(np.sign(curve[lag + reach]))
  times, lags = _follow(clean, output, lag, polarity, sample_rate)
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
  if pairing.clarity < _CLEAR or pairing.clear_windows < _WINDOWS_NEEDED:
    return (
      f"no lag fits: the best, {pairing.lag_samples} samples, has a clarity of "
      f"{pairing.clarity:.1f} and {pairing.clear_windows} clear windows, "
      f"{_CLEAR:g} and {_WINDOWS_NEEDED} are needed"
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
) -> tuple[np.ndarray, np.ndarray]:
  """Times and lags, in samples, of the windows that have a clear lag.

  Fractions of a sample come from a parabola.
  """
  length = min(round(_WINDOW_SECONDS * sample_rate), len(clean))
  reach = round(_NEAR_SECONDS * sample_rate)
  starts = whitened.starts(len(clean), length, _MOST_WINDOWS)
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
  return starts[clear] + length / 2, found[clear]
