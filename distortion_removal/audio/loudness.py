"""Loudness by ITU-R BS.1770-4, measured with pyloudnorm."""

import numpy as np

_BLOCK_SECONDS, _STEP_SECONDS = 0.4, 0.1  # gating blocks of BS.1770


def integrated_loudness(audio: np.ndarray, *, sample_rate: int) -> float:
  """Measures the gated, integrated loudness of one file (BS.1770-4).

  The standard leaves out files shorter than a gating block (0.4 s). Here they
  are one block of their own length, so that short excerpts can be compared.

  Args:
    audio: `[time, channels]`: left, right, centre, and the surrounds, which
      count 1.41 times.
    sample_rate: in Hz.

  Returns:
    LUFS; −inf for audio that is nowhere above the gate of −70 LUFS or shorter
    than 0.05 s; NaN where a sample is not finite.
  """
  if not np.isfinite(audio).all():
    return np.nan
  seconds = len(audio) / sample_rate
  if seconds < 0.05:  # The weighting filter takes about as long to settle.
    return -np.inf
  import pyloudnorm  # Importing it takes three seconds.

  # Half a sample more, since pyloudnorm truncates seconds to samples.
  block_seconds = min(_BLOCK_SECONDS, seconds + 0.5 / sample_rate)
  # The standard leaves out an incomplete last block, where pyloudnorm rounds.
  steps = int((seconds - block_seconds) / _STEP_SECONDS + 1e-6)
  whole = round((block_seconds + steps * _STEP_SECONDS) * sample_rate)
  # One sample more, since pyloudnorm wants audio longer than a block.
  padded = np.pad(audio[:whole].astype(np.float64), ((0, 1), (0, 0)))
  meter = pyloudnorm.Meter(sample_rate, block_size=block_seconds)
  with np.errstate(divide="ignore", invalid="ignore"):
    return float(meter.integrated_loudness(padded))


def normalise_loudness(
  audio: np.ndarray, *, sample_rate: int, loudness_lufs: float
) -> tuple[np.ndarray, bool]:
  """Scales one file to a loudness, or as near as a peak of 0.99 allows.

  Args:
    audio: `[time, channels]`.
    sample_rate: in Hz.
    loudness_lufs: target; the paper's listening page has −19 LUFS (guitar) and
      −23 LUFS (SignalTrain).

  Returns:
    The scaled audio, unchanged if it has no loudness; and whether the peak kept
    it below the target.
  """
  loudness = integrated_loudness(audio, sample_rate=sample_rate)
  if not np.isfinite(loudness):
    return audio, False
  gain = 10.0 ** ((loudness_lufs - loudness) / 20.0)
  limit = 0.99 / np.abs(audio).max()
  scaled = audio * np.float32(min(gain, limit))
  return scaled.astype(np.float32), bool(gain > limit)
