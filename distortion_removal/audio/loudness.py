"""Loudness for listening: ITU-R BS.1770-4, measured by pyloudnorm."""

import numpy as np

_HEADROOM_PEAK = 0.99
# A gating block of BS.1770 and the step to the next, and what is too short to
# be one: the weighting filter takes about as long to settle.
_BLOCK_SECONDS = 0.4
_STEP_SECONDS = 0.1
_LEAST_SECONDS = 0.05


def integrated_loudness(audio: np.ndarray, *, sample_rate: int) -> float:
  """Integrated loudness of one file in LUFS (BS.1770-4, gated).

  Files shorter than a gating block (0.4 s), which the standard leaves out, are
  one block of their own length, so that short excerpts can be compared, too.

  Args:
    audio: `[time, channels]`: left, right, centre, and the surrounds, which
      count 1.41 times.
    sample_rate: Hz.

  Returns:
    LUFS; −inf for silence, for what is nowhere above the gate of −70 LUFS, and
    for files shorter than 0.05 s; NaN where a sample is not finite.

  Raises:
    ValueError: more than five channels, for which there are no weights.
  """
  if audio.shape[1] > 5:
    raise ValueError(f"at most five channels, got {audio.shape[1]}")
  if not np.isfinite(audio).all():
    return np.nan
  seconds = len(audio) / sample_rate
  if seconds < _LEAST_SECONDS:
    return -np.inf
  import pyloudnorm  # Three seconds that only this needs.

  # Half a sample more, for pyloudnorm truncates seconds to samples; and one of
  # silence, for it wants audio that is longer than a block.
  block_seconds = min(_BLOCK_SECONDS, seconds + 0.5 / sample_rate)
  # It also rounds the number of blocks, where the standard leaves out one that
  # is incomplete.
  steps = int((seconds - block_seconds) / _STEP_SECONDS + 1e-6)
  whole = round((block_seconds + steps * _STEP_SECONDS) * sample_rate)
  padded = np.pad(audio[:whole].astype(np.float64), ((0, 1), (0, 0)))
  meter = pyloudnorm.Meter(sample_rate, block_size=block_seconds)
  with np.errstate(divide="ignore", invalid="ignore"):
    return float(meter.integrated_loudness(padded))


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
