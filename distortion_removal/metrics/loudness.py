"""Loudness for listening: ITU-R BS.1770-4, measured by pyloudnorm."""

import numpy as np

_HEADROOM_PEAK = 0.99
_BLOCK_SECONDS = 0.4  # BS.1770's gating block: shorter audio has no loudness


def integrated_loudness(audio: np.ndarray, *, sample_rate: int) -> float:
  """Integrated loudness of one file in LUFS (BS.1770-4, gated).

  Args:
    audio: `[time, channels]`, at most five channels.
    sample_rate: Hz.

  Returns:
    LUFS; −inf for silence and for audio shorter than a gating block (0.4 s).
  """
  if len(audio) <= _BLOCK_SECONDS * sample_rate:
    return -np.inf
  import pyloudnorm  # Three seconds that only this needs.

  with np.errstate(divide="ignore", invalid="ignore"):
    meter = pyloudnorm.Meter(sample_rate)
    return float(meter.integrated_loudness(audio.astype(np.float64)))


def normalise_loudness(
  audio: np.ndarray, *, sample_rate: int, loudness_lufs: float
) -> tuple[np.ndarray, bool]:
  """Scales one file to a loudness, or as near as its peak allows.

  Args:
    audio: `[time, channels]`.
    sample_rate: Hz.
    loudness_lufs: wanted integrated loudness; the paper's listening page has
      −19 (guitar) and −23 (SignalTrain).

  Returns:
    The scaled audio, and whether its peak (0.99) kept it quieter than asked.
    Audio without a loudness comes back as it is.
  """
  loudness = integrated_loudness(audio, sample_rate=sample_rate)
  if not np.isfinite(loudness):
    return audio, False
  gain = 10.0 ** ((loudness_lufs - loudness) / 20.0)
  limit = _HEADROOM_PEAK / np.abs(audio).max()
  scaled = audio * np.float32(min(gain, limit))
  return scaled.astype(np.float32), bool(gain > limit)
