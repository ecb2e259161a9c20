"""PEAQ's model output variables, and the grade that a network makes of them.

The variables are averages over the frames of a file; the network is that of the
basic version, ITU-R BS.1387-1, annex 2.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import lfilter
from scipy.special import expit

from distortion_removal.metrics.peaq.comparison import Measures
from distortion_removal.metrics.peaq.patterns import FRAMES_PER_SECOND

# The variables in the network's order. Of each: the value scaled to 0, the
# value scaled to 1, and the weights to three hidden nodes.
_INPUTS = {
  "BandwidthRefB": (393.916656, 921.0, -0.502657, 0.436333, 1.219602),
  "BandwidthTestB": (361.965332, 881.131226, 4.307481, 3.246017, 1.123743),
  "Total NMRB": (-24.045116, 16.212030, 4.984241, -2.211189, -0.192096),
  "WinModDiff1B": (1.110661, 107.137772, 0.051056, -1.762424, 4.331315),
  "ADBB": (-0.206623, 2.886017, 2.321580, 1.789971, -0.754560),
  "EHSB": (0.074318, 13.933351, -5.303901, -3.452257, -10.814982),
  "AvgModDiff1B": (1.113683, 63.257874, 2.730991, -6.111805, 1.519223),
  "AvgModDiff2B": (0.950345, 1145.018555, 0.624950, -1.331523, -5.955151),
  "RmsNoiseLoudB": (0.029985, 14.819740, 3.102889, 0.871260, -5.922878),
  "MFPDB": (0.000101, 1.0, -1.051468, -0.939882, -0.142913),
  "RelDistFramesB": (0.0, 1.0, -1.804679, -0.503610, -0.620456),
}
MOVS = tuple(_INPUTS)
_HIDDEN_BIAS = np.array([-2.518254, 0.654841, -2.207228])
_OUTPUT_WEIGHTS = np.array([-3.817048, 4.107138, 4.629582])
_OUTPUT_BIAS = -0.307594
WORST, BEST = -3.98, 0.22  # the limits of the grade

_DELAY_FRAMES = math.ceil(0.5 * FRAMES_PER_SECOND)
_LOUD_DELAY_FRAMES = math.ceil(0.05 * FRAMES_PER_SECOND)
_WINDOW_FRAMES = math.floor(0.1 * FRAMES_PER_SECOND)
_DISTURBED = 10.0**0.15  # a noise-to-mask ratio of 1.5 dB


def model_output_variables(
  channels: list[Measures], warm_up: int
) -> np.ndarray:
  """Computes the eleven variables of one file, `[11]` in the order of `MOVS`.

  Those of two channels are averaged, except the two of detection, where the
  more audible channel counts in every band and frame.

  Args:
    channels: measures of every channel.
    warm_up: frames of the file before the first that was measured.
  """
  # The standard leaves the first half second out of some averages; PQevalAudio
  # counts the frames before the target's start as a part of it.
  delay = max(0, _DELAY_FRAMES - warm_up)
  count = len(channels[0].loud)
  loud_from = min(np.append(np.flatnonzero(c.loud), count)[0] for c in channels)
  loud_delay = max(delay, loud_from + _LOUD_DELAY_FRAMES)
  alone = [_averages(c, delay, loud_delay) for c in channels]
  values = {name: np.mean([a[name] for a in alone]) for name in alone[0]}
  values |= _detection(np.max([c.detection for c in channels], axis=0))
  return np.array([values[name] for name in MOVS])


def _averages(x: Measures, delay: int, loud_delay: int) -> dict[str, float]:
  first, second = x.modulation[:, delay:]
  weight = x.modulation_weight[delay:]
  noise = x.noise_loudness[loud_delay:]
  return {
    "BandwidthRefB": _defined_mean(x.bandwidth[0]),
    "BandwidthTestB": _defined_mean(x.bandwidth[1]),
    "Total NMRB": 10.0 * np.log10(x.noise_to_mask.mean()),
    "WinModDiff1B": _windowed_mean(first),
    "EHSB": 1000.0 * _defined_mean(x.harmonics),
    "AvgModDiff1B": _weighted_mean(first, weight),
    "AvgModDiff2B": _weighted_mean(second, weight),
    "RmsNoiseLoudB": np.sqrt(_weighted_mean(noise**2, np.ones_like(noise))),
    "RelDistFramesB": np.mean(x.worst_noise_to_mask > _DISTURBED),
  }


def _detection(detection: np.ndarray) -> dict[str, float]:
  """Averages exponents and steps `[2, bands, frames]`, see `measures`."""
  exponent, steps = detection.sum(axis=1)
  probability = 1.0 - 0.5**exponent
  fading = lfilter([1.0 - 0.9], [1.0, -0.9], probability)
  distorted = steps[probability > 0.5]
  distance = 0.0
  if distorted.size:
    distance = np.log10(distorted.mean()) if distorted.any() else -0.5
  return {"ADBB": distance, "MFPDB": fading.max()}


def _defined_mean(values: np.ndarray) -> float:
  """Returns the mean of the non-negative values; 0 if there are none."""
  return _weighted_mean(values, values >= 0.0)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
  """Averages; 0 where nothing has a weight, as in excerpts below 0.5 s."""
  total = weights.sum()
  return (values * weights).sum() / total if total > 0.0 else 0.0


def _windowed_mean(values: np.ndarray) -> float:
  """Computes the root mean, over windows of 0.1 s, of mean(sqrt(values))^4."""
  if len(values) < _WINDOW_FRAMES:
    return 0.0
  windows = sliding_window_view(np.sqrt(values), _WINDOW_FRAMES)
  return np.sqrt(np.mean(windows.mean(axis=1) ** 4))


def objective_difference_grade(movs: np.ndarray) -> np.ndarray:
  """Computes the grade of `[..., 11]` in the order of `MOVS`: (-3.98, 0.22)."""
  inputs = np.array(list(_INPUTS.values()))
  low, high, weights = inputs[:, 0], inputs[:, 1], inputs[:, 2:]
  scaled = (movs - low) / (high - low)
  # Sums, as a product of matrices depends on the batch in its last bits.
  hidden = expit((scaled[..., None] * weights).sum(axis=-2) + _HIDDEN_BIAS)
  distortion_index = (hidden * _OUTPUT_WEIGHTS).sum(axis=-1) + _OUTPUT_BIAS
  return WORST + (BEST - WORST) * expit(distortion_index)
