"""Loudness and true peak by ITU-R BS.1770-4, with pyloudnorm's filters."""

from collections.abc import Iterable

import numpy as np
import scipy.signal

from distortion_removal.audio.resampling import resample_blocks

_BLOCK_SECONDS, _STEP_SECONDS = 0.4, 0.1  # gating blocks of BS.1770
_GATE_LUFS, _RELATIVE_GATE = -70.0, 0.1
_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.41, 1.41])  # of the channels
_OVERSAMPLING = 4


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


def loudness_of_blocks(
  blocks: Iterable[np.ndarray], *, sample_rate: int
) -> float:
  """Measures what `integrated_loudness` does in constant memory.

  pyloudnorm takes whole recordings; this gates as it does. Steps of the gating
  blocks are whole samples, which differs where 0.1 s is not.

  Args:
    blocks: a recording, `[time, channels]` each, of up to five channels.
    sample_rate: in Hz.
  """
  step, count = round(_STEP_SECONDS * sample_rate), 0
  held, powers = None, []
  for block in _k_weighted(blocks, sample_rate):
    held = block if held is None else np.concatenate([held, block])
    count += len(block)
    whole = held[: len(held) // step * step]
    parts = whole.reshape(-1, step, held.shape[1])
    powers.append(np.mean(parts**2, axis=1))
    held = held[len(whole) :]
  if count < 0.05 * sample_rate:
    return -np.inf
  steps = np.concatenate(powers)
  size = round(_BLOCK_SECONDS / _STEP_SECONDS)
  if len(steps) < size:  # shorter than a block, and one itself
    energy = step * np.sum(steps, axis=0) + np.sum(held**2, axis=0)
    power = energy[None] / count
  else:
    power = (
      sum(steps[k : len(steps) - size + 1 + k] for k in range(size)) / size
    )
  power = power @ _WEIGHTS[: power.shape[1]]
  power = power[power >= _power(_GATE_LUFS)]
  if not len(power):
    return -np.inf
  power = power[power > _RELATIVE_GATE * np.mean(power)]
  return float(-0.691 + 10.0 * np.log10(np.mean(power)))


def _power(loudness_lufs: float) -> float:
  return 10.0 ** ((loudness_lufs + 0.691) / 10.0)


def _k_weighted(
  blocks: Iterable[np.ndarray], sample_rate: int
) -> Iterable[np.ndarray]:
  from pyloudnorm.iirfilter import IIRfilter  # As slow to import as the whole.

  # As pyloudnorm's meter has them.
  filters = [
    IIRfilter(4.0, 0.5**0.5, 1500.0, sample_rate, "high_shelf"),
    IIRfilter(0.0, 0.5, 38.0, sample_rate, "high_pass"),
  ]
  states = None
  for block in blocks:
    states = states or [np.zeros((2, block.shape[1])) for _ in filters]
    for k, stage in enumerate(filters):
      block, states[k] = scipy.signal.lfilter(
        stage.b, stage.a, block, axis=0, zi=states[k]
      )
      block = stage.passband_gain * block
    yield block


def true_peak(blocks: Iterable[np.ndarray], *, sample_rate: int) -> float:
  """Returns the peak between the samples, too: BS.1770-4, annex 2.

  Args:
    blocks: a recording, `[time, channels]` each.
    sample_rate: in Hz.
  """
  peak = 0.0

  def watched() -> Iterable[np.ndarray]:
    nonlocal peak
    for block in blocks:
      peak = max(peak, float(np.abs(block).max(initial=0.0)))
      yield block.astype(np.float32)

  oversampled = resample_blocks(
    watched(), sample_rate, _OVERSAMPLING * sample_rate
  )
  between = max(float(np.abs(x).max(initial=0.0)) for x in oversampled)
  return max(peak, between)


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
