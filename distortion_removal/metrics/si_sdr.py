"""Signal-to-distortion ratios: scale-invariant and plain.

Both work in float64 on the host, an item at a time, which stays in the cache.
They take `[batch, time, channels]` and treat the channels of an item as one
long signal, with one scale for all of them.
"""

from collections.abc import Callable

import numpy as np

from distortion_removal.metrics.signals import check_pair

# 16-bit audio has a floor of about -98 dB. Ratios beyond this limit measure
# the rounding of the samples, and infinity would spoil every mean.
LIMIT_DB = 100.0


def si_sdr(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Scale-invariant signal-to-distortion ratio (higher is better).

      SI-SDR = 10 log10(||a t||^2 / ||e - a t||^2),   a = <e, t> / ||t||^2

  with estimate e and target t. The mean is not removed, as in the definition;
  an offset counts as distortion. Neither the scale of the estimate nor its
  sign matters.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or a batch of one for all estimates.
    sample_rate: in Hz; all metrics take it, this one does not depend on it.

  Returns:
    `[batch]` float64 in dB, held within [-100, 100] (`LIMIT_DB`): 100 for a
    perfect estimate, -100 for a silent one or one orthogonal to the target;
    NaN where the target is silent, for which the ratio is undefined, or a
    sample is not finite.

  Raises:
    ValueError: the shapes differ, or are not `[batch, time, channels]`.

  Source: Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?",
  ICASSP 2019, equations 4 and 5.
  """
  del sample_rate
  return _per_item(_item_si_sdr, estimate, target)


def sdr(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Signal-to-distortion ratio, scale and sign included (higher is better).

      SDR = 10 log10(||t||^2 / ||e - t||^2)

  with estimate e and target t. This is the "input SDR" that sets the levels
  of clipping in the SignalTrain task, not the SDR of BSS Eval.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or a batch of one for all estimates.
    sample_rate: in Hz; all metrics take it, this one does not depend on it.

  Returns:
    `[batch]` float64 in dB, held within [-100, 100] (`LIMIT_DB`): 100 for a
    perfect estimate, 0 for a silent one; NaN where the target is silent, or a
    sample is not finite.

  Raises:
    ValueError: the shapes differ, or are not `[batch, time, channels]`.
  """
  del sample_rate
  return _per_item(_item_sdr, estimate, target)


def ratio_db(signal_energy: float, noise_energy: float) -> float:
  """10 log10(signal / noise) within ±`LIMIT_DB`; NaN if one is not finite."""
  if not np.isfinite(signal_energy + noise_energy):
    return np.nan
  if signal_energy == 0.0:
    return -LIMIT_DB
  if noise_energy == 0.0:
    return LIMIT_DB
  level_db = 10.0 * np.log10(signal_energy / noise_energy)
  return float(np.clip(level_db, -LIMIT_DB, LIMIT_DB))


def _per_item(
  ratio: Callable[[np.ndarray, np.ndarray, float], float],
  estimate: np.ndarray,
  target: np.ndarray,
) -> np.ndarray:
  """The ratio of every item; NaN where the target is silent or not finite."""
  estimate, target = check_pair(estimate, target)
  scores = np.full(len(estimate), np.nan)
  with np.errstate(invalid="ignore", over="ignore"):
    for k in range(len(estimate)):
      if k < len(target):
        flat = target[k].astype(np.float64).ravel()
        energy = _dot(flat, flat)
      if 0.0 < energy < np.inf:
        scores[k] = ratio(estimate[k].astype(np.float64).ravel(), flat, energy)
  return scores


def _item_si_sdr(
  estimate: np.ndarray, target: np.ndarray, energy: float
) -> float:
  scale = _dot(estimate, target) / energy
  noise = estimate - scale * target
  return ratio_db(scale**2 * energy, _dot(noise, noise))


def _item_sdr(estimate: np.ndarray, target: np.ndarray, energy: float) -> float:
  noise = estimate - target
  return ratio_db(energy, _dot(noise, noise))


def _dot(a: np.ndarray, b: np.ndarray) -> float:
  # Not BLAS, whose threads fight those of others over the cores.
  return float(np.einsum("i,i->", a, b))
