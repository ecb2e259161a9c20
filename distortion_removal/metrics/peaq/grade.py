"""PEAQ's last step: from the model output variables to the grade.

The network of the basic version, ITU-R BS.1387-1, annex 2: eleven inputs,
scaled, three hidden nodes, one output, the distortion index.
"""

import numpy as np
from scipy.special import expit

# A row for each of `movs.MOVS`: what becomes 0, what becomes 1, three weights.
_INPUTS = np.array(
  [
    (393.916656, 921.0, -0.502657, 0.436333, 1.219602),
    (361.965332, 881.131226, 4.307481, 3.246017, 1.123743),
    (-24.045116, 16.212030, 4.984241, -2.211189, -0.192096),
    (1.110661, 107.137772, 0.051056, -1.762424, 4.331315),
    (-0.206623, 2.886017, 2.321580, 1.789971, -0.754560),
    (0.074318, 13.933351, -5.303901, -3.452257, -10.814982),
    (1.113683, 63.257874, 2.730991, -6.111805, 1.519223),
    (0.950345, 1145.018555, 0.624950, -1.331523, -5.955151),
    (0.029985, 14.819740, 3.102889, 0.871260, -5.922878),
    (0.000101, 1.0, -1.051468, -0.939882, -0.142913),
    (0.0, 1.0, -1.804679, -0.503610, -0.620456),
  ]
)
_HIDDEN_BIAS = np.array([-2.518254, 0.654841, -2.207228])
_OUTPUT_WEIGHTS = np.array([-3.817048, 4.107138, 4.629582])
_OUTPUT_BIAS = -0.307594
WORST, BEST = -3.98, 0.22  # what the grade tends to


def distortion_index(movs: np.ndarray) -> np.ndarray:
  """The network's output for `[..., 11]`, in the order of `movs.MOVS`."""
  low, high, weights = _INPUTS[:, 0], _INPUTS[:, 1], _INPUTS[:, 2:]
  scaled = (movs - low) / (high - low)
  # Sums, as a product of matrices depends on the batch in its last bits.
  hidden = expit((scaled[..., None] * weights).sum(axis=-2) + _HIDDEN_BIAS)
  return (hidden * _OUTPUT_WEIGHTS).sum(axis=-1) + _OUTPUT_BIAS


def objective_difference_grade(index: np.ndarray) -> np.ndarray:
  """The grade of a distortion index, in (-3.98, 0.22)."""
  return WORST + (BEST - WORST) * expit(index)
