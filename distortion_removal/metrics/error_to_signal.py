"""Error-to-signal ratio, the usual number of amplifier modelling."""

import numpy as np

from distortion_removal.metrics.signals import check_pair, defined


def esr(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  pre_emphasis: float = 0.0,
) -> np.ndarray:
  """Error-to-signal ratio (lower is better, 0 is perfect).

      ESR = ||p * (t - e)||^2 / ||p * t||^2,   p: 1 - pre_emphasis z^-1

  with estimate e and target t. Level and sign count; without pre-emphasis it
  is 10^(-SDR / 10). The mean is not removed.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or a batch of one for all estimates.
    sample_rate: in Hz; all metrics take it, this one does not depend on it.
    pre_emphasis: of a first-order high-pass on both; 0.95 in the source, which
      has it for 44.1 kHz.

  Returns:
    `[batch]` float64, at least 0; 1 for a silent estimate; NaN where the
    target is silent or a sample is not finite.

  Raises:
    ValueError: the shapes differ, or are not `[batch, time, channels]`.

  Source: Wright, Damskaegg, Valimaki, "Real-time black-box modelling with
  recurrent neural networks", DAFx 2019, equations 5 and 6.
  """
  del sample_rate
  estimate, target = check_pair(estimate, target)
  scores = np.full(len(estimate), np.nan)
  with np.errstate(over="ignore", invalid="ignore"):
    for k in np.flatnonzero(defined(estimate, target)):
      wanted = target[k % len(target)].astype(np.float64)
      error = _emphasise(estimate[k] - wanted, pre_emphasis)
      energy = np.sum(_emphasise(wanted, pre_emphasis) ** 2)
      scores[k] = np.sum(error**2) / energy
  return np.where(np.isfinite(scores), scores, np.nan)


def _emphasise(signal: np.ndarray, coefficient: float) -> np.ndarray:
  """`x[n] - coefficient x[n-1]` along the first axis, zero before it."""
  filtered = signal.copy()
  filtered[1:] -= coefficient * signal[:-1]
  return filtered
