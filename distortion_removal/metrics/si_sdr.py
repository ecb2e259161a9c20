"""Signal-to-distortion ratios: scale-invariant and plain.

Both work in float64 on the host. They take `[batch, time, channels]` and treat
the channels of an item as one long signal, with one scale for all of them.
"""

from collections.abc import Iterator

import numpy as np

from distortion_removal.metrics.signals import check_pair

# 16-bit audio has a floor of about -98 dB. Ratios beyond this limit measure
# the rounding of the samples, and infinity would spoil every mean.
LIMIT_DB = 100.0

_BLOCK = 1 << 14


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
  return _score(estimate, target, is_scaled=True)


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
  return _score(estimate, target, is_scaled=False)


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


def _score(
  estimate: np.ndarray, target: np.ndarray, *, is_scaled: bool
) -> np.ndarray:
  """The ratio of every item, the target scaled to fit the estimate or not."""
  estimate, target = check_pair(estimate, target)
  with np.errstate(invalid="ignore", over="ignore"):
    scores = [
      _item(estimate[k].ravel(), target[k % len(target)].ravel(), is_scaled)
      for k in range(len(estimate))
    ]
  return np.array(scores, np.float64)


def _item(estimate: np.ndarray, target: np.ndarray, is_scaled: bool) -> float:
  energy = product = noise_energy = 0.0
  for e, t in _blocks(estimate, target):
    energy += _dot(t, t)
    product += _dot(e, t)
  if not 0.0 < energy < np.inf:
    return np.nan
  scale = product / energy if is_scaled else 1.0
  for e, t in _blocks(estimate, target):
    noise = e - scale * t
    noise_energy += _dot(noise, noise)
  return ratio_db(scale * scale * energy, noise_energy)


def _blocks(*signals: np.ndarray) -> Iterator[list[np.ndarray]]:
  """The signals in float64, a piece at a time, which stays in the cache."""
  for start in range(0, len(signals[0]), _BLOCK):
    yield [x[start : start + _BLOCK].astype(np.float64) for x in signals]


def _dot(a: np.ndarray, b: np.ndarray) -> float:
  # Not BLAS, whose threads fight those of others over the cores.
  return float(np.einsum("i,i->", a, b))
