"""SDR gained over the degraded input, and SDR of the clipped samples alone.

These take the degraded signal besides estimate and target, as the literature
on declipping does. Source: Zaviska, Rajmic, Ozerov, Rencker, "A Survey and an
Extensive Evaluation of Popular Audio Declipping Methods", IEEE Journal of
Selected Topics in Signal Processing, 2021, section V.

`degraded`, the input that the estimate was made from, has the estimate's shape;
the other arguments and the errors are those of `si_sdr`.
"""

import numpy as np

from distortion_removal.declipping.clip_level import (
  clip_signs,
  find_exact_rails,
)
from distortion_removal.metrics.si_sdr import sdr
from distortion_removal.metrics.signals import check_pair, defined


def delta_sdr(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  degraded: np.ndarray,
) -> np.ndarray:
  """Computes the estimate's SDR less that of the input (higher is better).

  Returns:
    `[batch]` float64 in dB, within ±200, as both ratios are within ±100; NaN
    where `sdr` is undefined for the estimate or for the input.
  """
  after = sdr(estimate, target, sample_rate=sample_rate)
  before = sdr(_like(degraded, estimate), target, sample_rate=sample_rate)
  return after - before


def sdr_clipped(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  degraded: np.ndarray,
) -> np.ndarray:
  """Computes the SDR over the samples that are at a rail in `degraded`.

  Returns:
    `[batch]` float64 in dB, within ±100; NaN where nothing is clipped, the
    target is silent there, or a sample is not finite.
  """
  estimate, target = check_pair(estimate, target)
  clipped = _is_clipped(_like(degraded, estimate))
  return _sdr_where(clipped, estimate, target, sample_rate)


def delta_sdr_clipped(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  degraded: np.ndarray,
) -> np.ndarray:
  """Computes the estimate's `sdr_clipped` less that of the input, within ±200.

  A method that leaves reliable samples as they are gains the same by
  `delta_sdr`.
  """
  estimate, target = check_pair(estimate, target)
  degraded, _ = check_pair(_like(degraded, estimate), target)
  clipped = _is_clipped(degraded)
  after = _sdr_where(clipped, estimate, target, sample_rate)
  return after - _sdr_where(clipped, degraded, target, sample_rate)


def _is_clipped(degraded: np.ndarray) -> np.ndarray:
  """Finds the samples at a rail; none in items that are not finite."""
  finite = np.isfinite(degraded).all(axis=(1, 2), keepdims=True)
  degraded = np.where(finite, degraded, 0.0)
  return clip_signs(degraded, find_exact_rails(degraded)) != 0


def _sdr_where(
  clipped: np.ndarray,
  estimate: np.ndarray,
  target: np.ndarray,
  sample_rate: int,
) -> np.ndarray:
  # Zeros on both sides add to neither energy.
  pair = (np.where(clipped, x, 0.0) for x in (estimate, target))
  scores = sdr(*pair, sample_rate=sample_rate)
  return np.where(defined(estimate, target), scores, np.nan)


def _like(degraded: np.ndarray, estimate: np.ndarray) -> np.ndarray:
  if np.shape(degraded) != np.shape(estimate):
    raise ValueError(
      f"degraded {np.shape(degraded)} must have the estimate's shape "
      f"{np.shape(estimate)}"
    )
  return np.asarray(degraded)
