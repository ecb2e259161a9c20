"""What was gained over the degraded input, and SDR where that was clipped.

These take the degraded signal beside estimate and target, as the literature on
declipping does. Source: Zaviska, Rajmic, Ozerov, Rencker, "A Survey and an
Extensive Evaluation of Popular Audio Declipping Methods", IEEE Journal of
Selected Topics in Signal Processing, 2021, section V.
"""

import numpy as np

from distortion_removal.declipping.clip_level import (
  ClipLevel,
  clip_signs,
  resolve_rails,
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
  """SDR of the estimate less that of the degraded input (higher is better).

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or a batch of one for all estimates.
    sample_rate: in Hz.
    degraded: what the estimate was made of, of the estimate's shape.

  Returns:
    `[batch]` float64 in dB, within ±200, as both ratios are within ±100; NaN
    where `sdr` is, for the estimate or for the input.

  Raises:
    ValueError: the shapes do not fit.
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
  clip_level: ClipLevel | None = None,
) -> np.ndarray:
  """SDR over the samples that were clipped, and no others.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or a batch of one for all estimates.
    sample_rate: in Hz.
    degraded: the clipped input, of the estimate's shape.
    clip_level: see `resolve_rails`; None: found from `degraded`.

  Returns:
    `[batch]` float64 in dB, within ±100; NaN where nothing is clipped, the
    target is silent there, or a sample is not finite.

  Raises:
    ValueError: the shapes do not fit.
  """
  estimate, target = check_pair(estimate, target)
  clipped = _clipped(_like(degraded, estimate), clip_level)
  return _sdr_of(clipped, estimate, target, sample_rate)


def delta_sdr_clipped(
  estimate: np.ndarray,
  target: np.ndarray,
  *,
  sample_rate: int,
  degraded: np.ndarray,
  clip_level: ClipLevel | None = None,
) -> np.ndarray:
  """`sdr_clipped` of the estimate less that of the degraded input.

  Arguments, result and errors as there; in dB, within ±200. A method that
  leaves reliable samples as they are gains the same by `delta_sdr`.
  """
  estimate, target = check_pair(estimate, target)
  clipped = _clipped(_like(degraded, estimate), clip_level)
  after = _sdr_of(clipped, estimate, target, sample_rate)
  return after - _sdr_of(clipped, degraded, target, sample_rate)


def _like(degraded: np.ndarray, estimate: np.ndarray) -> np.ndarray:
  if np.shape(degraded) != np.shape(estimate):
    raise ValueError(
      f"degraded {np.shape(degraded)} must have the estimate's shape "
      f"{np.shape(estimate)}"
    )
  return np.asarray(degraded)


def _clipped(degraded: np.ndarray, clip_level: ClipLevel | None) -> np.ndarray:
  """Which samples are at a rail; none of an item that is not finite."""
  finite = np.isfinite(degraded).all(axis=(1, 2), keepdims=True)
  degraded = np.where(finite, degraded, 0.0)
  return clip_signs(degraded, resolve_rails(degraded, clip_level)) != 0


def _sdr_of(
  chosen: np.ndarray,
  estimate: np.ndarray,
  target: np.ndarray,
  sample_rate: int,
) -> np.ndarray:
  # Zeros on both sides add to neither energy.
  scores = sdr(
    np.where(chosen, estimate, 0.0),
    np.where(chosen, target, 0.0),
    sample_rate=sample_rate,
  )
  return np.where(defined(estimate, target), scores, np.nan)
