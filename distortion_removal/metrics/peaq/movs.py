"""PEAQ's model output variables: averages over the frames of a file."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import lfilter

from distortion_removal.metrics.peaq.comparison import Measures
from distortion_removal.metrics.peaq.patterns import FRAMES_PER_SECOND

MOVS = (
  "BandwidthRefB",
  "BandwidthTestB",
  "Total NMRB",
  "WinModDiff1B",
  "ADBB",
  "EHSB",
  "AvgModDiff1B",
  "AvgModDiff2B",
  "RmsNoiseLoudB",
  "MFPDB",
  "RelDistFramesB",
)

_DELAY_FRAMES = math.ceil(0.5 * FRAMES_PER_SECOND)
_LOUD_DELAY_FRAMES = math.ceil(0.05 * FRAMES_PER_SECOND)
_WINDOW_FRAMES = math.floor(0.1 * FRAMES_PER_SECOND)
_DISTURBED = 10.0**0.15  # a noise-to-mask ratio of 1.5 dB


def variables(channels: list[Measures], warm_up: int) -> np.ndarray:
  """The eleven variables of one file, `[11]` in the order of `MOVS`.

  Those of two channels are averaged, except the two of detection, where the
  more audible channel counts in every band and frame.

  Args:
    channels: measures of every channel.
    warm_up: frames of the file before the first that was measured.
  """
  # The standard leaves the first half second out of some; PQevalAudio counts
  # the frames before the target's start as a part of it.
  delay = max(0, _DELAY_FRAMES - warm_up)
  count = len(channels[0].loud)
  loud_from = min(np.append(np.flatnonzero(c.loud), count)[0] for c in channels)
  loud_delay = max(delay, loud_from + _LOUD_DELAY_FRAMES)
  alone = [_of_channel(c, delay, loud_delay) for c in channels]
  values = {name: np.mean([a[name] for a in alone]) for name in alone[0]}
  values |= _of_detection(np.max([c.detection for c in channels], axis=0))
  return np.array([values[name] for name in MOVS])


def _of_channel(x: Measures, delay: int, loud_delay: int) -> dict[str, float]:
  first, second = x.modulation[:, delay:]
  weight = x.modulation_weight[delay:]
  noise = x.noise_loudness[loud_delay:]
  return {
    "BandwidthRefB": _mean_of_defined(x.bandwidth[0]),
    "BandwidthTestB": _mean_of_defined(x.bandwidth[1]),
    "Total NMRB": 10.0 * np.log10(x.noise_to_mask.mean()),
    "WinModDiff1B": _windowed_mean(first),
    "EHSB": 1000.0 * _mean_of_defined(x.harmonics),
    "AvgModDiff1B": _weighted_mean(first, weight),
    "AvgModDiff2B": _weighted_mean(second, weight),
    "RmsNoiseLoudB": np.sqrt(_weighted_mean(noise**2, np.ones_like(noise))),
    "RelDistFramesB": np.mean(x.worst_noise_to_mask > _DISTURBED),
  }


def _of_detection(detection: np.ndarray) -> dict[str, float]:
  """Of the exponents and steps `[2, bands, frames]`, see `measures`."""
  exponent, steps = detection.sum(axis=1)
  probability = 1.0 - 0.5**exponent
  fading = lfilter([1.0 - 0.9], [1.0, -0.9], probability)
  distorted = steps[probability > 0.5]
  distance = 0.0
  if distorted.size:
    distance = np.log10(distorted.mean()) if distorted.any() else -0.5
  return {"ADBB": distance, "MFPDB": fading.max()}


def _mean_of_defined(values: np.ndarray) -> float:
  """Of those that are not negative; 0 where there is none."""
  return _weighted_mean(values, values >= 0.0)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
  """0 where nothing has a weight, as in excerpts under half a second."""
  total = weights.sum()
  return (values * weights).sum() / total if total > 0.0 else 0.0


def _windowed_mean(values: np.ndarray) -> float:
  """Root of the mean, over windows of 0.1 s, of mean(sqrt(values))^4."""
  if len(values) < _WINDOW_FRAMES:
    return 0.0
  windows = sliding_window_view(np.sqrt(values), _WINDOW_FRAMES)
  return np.sqrt(np.mean(windows.mean(axis=1) ** 4))
