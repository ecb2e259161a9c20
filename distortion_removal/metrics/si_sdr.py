"""Signal-to-distortion ratios: scale-invariant and plain.

Both work in float64 on the host. They take `[batch, time, channels]` and treat
the channels of an item as one long signal, with one scale for all of them.
"""

import numpy as np

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
    target: of the same shape.
    sample_rate: in Hz; all metrics take it, this one does not depend on it.

  Returns:
    `[batch]` float64 in dB, held within [-100, 100] (`LIMIT_DB`): 100 for a
    perfect estimate, -100 for a silent one or one orthogonal to the target;
    NaN where the target is silent, for which the ratio is undefined.

  Raises:
    ValueError: the shapes differ or are not `[batch, time, channels]`.

  Source: Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?",
  ICASSP 2019, equations 4 and 5.
  """
  del sample_rate
  estimate, target = _flat_pair(estimate, target)
  energy = np.sum(target**2, axis=1, keepdims=True)
  with np.errstate(invalid="ignore"):
    scale = np.sum(estimate * target, axis=1, keepdims=True) / energy
  return _ratio_db(scale * target, estimate - scale * target, target)


def sdr(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Signal-to-distortion ratio, scale and sign included (higher is better).

      SDR = 10 log10(||t||^2 / ||e - t||^2)

  with estimate e and target t. This is the "input SDR" that sets the levels
  of clipping in the SignalTrain task, not the SDR of BSS Eval.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape.
    sample_rate: in Hz; all metrics take it, this one does not depend on it.

  Returns:
    `[batch]` float64 in dB, held within [-100, 100] (`LIMIT_DB`): 100 for a
    perfect estimate, 0 for a silent one; NaN where the target is silent.

  Raises:
    ValueError: the shapes differ or are not `[batch, time, channels]`.
  """
  del sample_rate
  estimate, target = _flat_pair(estimate, target)
  return _ratio_db(target, estimate - target, target)


def _flat_pair(
  estimate: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Checks two shapes and returns float64 `[batch, time * channels]`."""
  shapes = np.shape(estimate), np.shape(target)
  if shapes[0] != shapes[1] or len(shapes[0]) != 3:
    raise ValueError(
      "estimate and target must have one shape [batch, time, channels], "
      f"got {shapes[0]} and {shapes[1]}"
    )
  batch, time, channels = shapes[0]
  flat = batch, time * channels
  return (
    np.asarray(estimate, np.float64).reshape(flat),
    np.asarray(target, np.float64).reshape(flat),
  )


def _ratio_db(
  signal: np.ndarray, noise: np.ndarray, target: np.ndarray
) -> np.ndarray:
  """Energy of signal over noise in dB, limited; NaN for a silent target."""
  signal_energy = np.sum(signal**2, axis=1)
  with np.errstate(divide="ignore", invalid="ignore"):
    ratio_db = 10.0 * np.log10(signal_energy / np.sum(noise**2, axis=1))
  ratio_db = np.where(signal_energy == 0, -LIMIT_DB, ratio_db)
  limited_db = np.clip(ratio_db, -LIMIT_DB, LIMIT_DB)
  return np.where(np.any(target, axis=1), limited_db, np.nan)
