"""Ratios of signal and error: SI-SDR, SDR and the error-to-signal ratio.

All work in float64 on the host. They take `[batch, time, channels]` and treat
the channels of an item as one long signal, with one scale for all of them.
"""

from collections.abc import Iterator

import numpy as np

from distortion_removal.metrics.signals import check_pair, defined

# 16-bit audio has a floor of about -98 dB. Ratios beyond this limit measure
# the rounding of the samples, and infinity would spoil every mean.
LIMIT_DB = 100.0

_BLOCK_SAMPLES = 1 << 14


def si_sdr(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes the scale-invariant signal-to-distortion ratio (higher is better).

      SI-SDR = 10 log10(||a t||^2 / ||e - a t||^2),   a = <e, t> / ||t||^2

  with estimate e and target t. The mean is not removed, as in the definition;
  an offset counts as distortion. Neither the scale of the estimate nor its
  sign matters.

  Args:
    estimate: `[batch, time, channels]`.
    target: the same shape, or a batch of one for all estimates.
    sample_rate: rate in Hz; all metrics take it, this one does not need it.

  Returns:
    `[batch]` float64 in dB, limited to [-100, 100] (`LIMIT_DB`): 100 for a
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
  """Computes the plain signal-to-distortion ratio (higher is better).

      SDR = 10 log10(||t||^2 / ||e - t||^2)

  with estimate e and target t; scale and sign count. This is the "input SDR"
  that sets the levels of clipping in the SignalTrain task, not the SDR of BSS
  Eval. Arguments and errors: see `si_sdr`.

  Returns:
    `[batch]` float64 in dB, limited to [-100, 100] (`LIMIT_DB`): 100 for a
    perfect estimate, 0 for a silent one; NaN where the target is silent, or a
    sample is not finite.
  """
  del sample_rate
  return _score(estimate, target, is_scaled=False)


def esr(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes the error-to-signal ratio (lower is better).

      ESR = ||t - e||^2 / ||t||^2 = 10^(-SDR / 10)

  with estimate e and target t; scale and sign count. It is the usual number of
  amplifier modelling. The source filters both by a pre-emphasis 1 - 0.95 z^-1
  at 44.1 kHz; here there is none. Arguments and errors: see `si_sdr`.

  Returns:
    `[batch]` float64, at least 0; 1 for a silent estimate; NaN where the
    target is silent or a sample is not finite.

  Source: Wright, Damskaegg, Valimaki, "Real-time black-box modelling with
  recurrent neural networks", DAFx 2019, equations 5 and 6.
  """
  del sample_rate
  estimate, target = check_pair(estimate, target)
  scores = np.full(len(estimate), np.nan)
  with np.errstate(over="ignore", invalid="ignore"):
    for k in np.flatnonzero(defined(estimate, target)):
      wanted = target[k % len(target)].astype(np.float64)
      error = estimate[k] - wanted
      scores[k] = np.sum(error**2) / np.sum(wanted**2)
  return np.where(np.isfinite(scores), scores, np.nan)


def _score(
  estimate: np.ndarray, target: np.ndarray, *, is_scaled: bool
) -> np.ndarray:
  """Computes every item's ratio, the target scaled to the estimate or not."""
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
  return _ratio_db(scale * scale * energy, noise_energy)


def _ratio_db(signal_energy: float, noise_energy: float) -> float:
  """Returns 10 log10(signal / noise) within ±100 dB; NaN if not finite."""
  if not np.isfinite(signal_energy + noise_energy):
    return np.nan
  if signal_energy == 0.0:
    return -LIMIT_DB
  if noise_energy == 0.0:
    return LIMIT_DB
  level_db = 10.0 * np.log10(signal_energy / noise_energy)
  return float(np.clip(level_db, -LIMIT_DB, LIMIT_DB))


def _blocks(*signals: np.ndarray) -> Iterator[list[np.ndarray]]:
  """Yields the signals in float64, in pieces that stay in the cache."""
  for start in range(0, len(signals[0]), _BLOCK_SAMPLES):
    block = slice(start, start + _BLOCK_SAMPLES)
    yield [x[block].astype(np.float64) for x in signals]


def _dot(a: np.ndarray, b: np.ndarray) -> float:
  # Not BLAS, whose threads compete with others for the cores.
  return float(np.einsum("i,i->", a, b))
