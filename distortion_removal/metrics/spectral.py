"""Distances of magnitude spectra, which ignore the phase.

Frames are those of `audio.stft`: periodic Hann, centred on multiples of the
hop, the signal continued by reflection. Transforms are float32, means float64.
"""

from collections.abc import Callable

import numpy as np
import scipy.fft

from distortion_removal.audio import stft
from distortion_removal.metrics.signals import check_pair, defined, map_items

_POWER_FLOOR = np.float32(1e-8)  # of a bin, before logarithms; as in auraloss
_BLOCK_FRAMES = 64  # their spectra stay in the cache

# FFT size, hop and window length of each resolution (Yamamoto et al., table 1).
_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))


def multi_resolution_stft(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes the multi-resolution STFT distance (lower is better).

  The mean over three resolutions of

      ||T - E|| / ||T|| + mean |log T - log E|

  with the magnitudes T and E of target and estimate, at least 1e-4: what
  `losses.multi_resolution_stft` is for a batch of one item. Resolutions are in
  samples, whatever the rate. Arguments and errors: see `metrics.si_sdr`.

  Returns:
    `[batch]` float64, at least 0, which is perfect; NaN where the target is
    silent or a sample is not finite.

  Source: Yamamoto, Song, Kim, "Parallel WaveGAN", ICASSP 2020, equations 3 to
  6, with the details of auraloss' `MultiResolutionSTFTLoss`.
  """
  del sample_rate
  distances = [
    _resolution_distance(estimate, target, *resolution)
    for resolution in _RESOLUTIONS
  ]
  return np.mean(distances, axis=0)


def log_spectral_distance(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes the log-spectral distance in dB (lower is better).

      mean over frames of sqrt(mean over bins of (20 log10 T/E)^2)

  with the magnitudes T and E of target and estimate, at least 1e-4. Ten times
  what the literature on bandwidth extension, which leaves the 10 of the
  decibel out, calls LSD. Frames of 2048 samples every 512, whatever the rate.
  Arguments and errors: see `metrics.si_sdr`.

  Returns:
    `[batch]` float64 in dB, at least 0, which is perfect; NaN where the target
    is silent or a sample is not finite.

  Source: Gray, Markel, "Distance measures for speech processing", IEEE Trans.
  Acoustics, Speech and Signal Processing, 1976, for short-time spectra.
  """
  del sample_rate

  def sums(estimate: np.ndarray, target: np.ndarray) -> np.ndarray:
    squares = np.mean(np.log(target / estimate) ** 2, axis=-1)
    return np.sum(np.sqrt(squares), axis=(1, 2), dtype=np.float64)

  size, hop = 2048, 512  # samples
  totals, frames = _over_frames(sums, estimate, target, size, hop, size)
  return 10.0 / np.log(10.0) * totals / frames


def _resolution_distance(
  estimate: np.ndarray, target: np.ndarray, size: int, hop: int, length: int
) -> np.ndarray:
  """Adds spectral convergence and log-magnitude distance at a resolution."""

  def sums(estimate: np.ndarray, target: np.ndarray) -> np.ndarray:
    error = np.sqrt(target) - np.sqrt(estimate)
    logarithms = 0.5 * np.abs(np.log(target / estimate))
    terms = np.broadcast_arrays(error**2, target, logarithms)
    return np.stack([np.sum(x, (1, 2, 3), np.float64) for x in terms])

  totals, frames = _over_frames(sums, estimate, target, size, hop, length)
  error, energy, logarithms = totals
  bins = frames * (size // 2 + 1)
  return np.sqrt(error / energy) + logarithms / bins


def _over_frames(
  sums: Callable[[np.ndarray, np.ndarray], np.ndarray],
  estimate: np.ndarray,
  target: np.ndarray,
  size: int,
  hop: int,
  length: int,
) -> tuple[np.ndarray, int]:
  """Adds up `sums` of the power spectra of all frames, a block at a time.

  `sums` maps the powers `[batch, channels, frames, bins]` of estimate and
  target, both at least the floor, to `[…, batch]`. Size of a frame, hop and
  length of the window are in samples.

  Returns:
    `[…, batch]`, NaN for an item without a score, and the number of frames of
    an item, all channels together.
  """
  estimate, target = check_pair(estimate, target)
  scored = defined(estimate, target)
  estimate = np.where(scored[:, None, None], estimate, 0.0)
  target = np.where(np.isfinite(target), target, 0.0)
  with np.errstate(over="ignore"):
    cut = [_frames(audio, size, hop) for audio in (estimate, target)]
  hann = stft.window(length, size)

  @np.errstate(all="ignore")
  def block(start: int) -> np.ndarray:
    part = np.s_[:, :, start : start + _BLOCK_FRAMES]
    spectra = (scipy.fft.rfft(frames[part] * hann) for frames in cut)
    powers = (x.real**2 + x.imag**2 for x in spectra)
    return sums(*(np.maximum(x, _POWER_FLOOR) for x in powers))

  _, channels, count, _ = cut[0].shape
  totals = sum(map_items(block, range(0, count, _BLOCK_FRAMES)))
  scored = scored & np.isfinite(totals)
  return np.where(scored, totals, np.nan), channels * count


def _frames(audio: np.ndarray, size: int, hop: int) -> np.ndarray:
  """Returns a view of the frames `[batch, channels, frames, size]`, float32."""
  signal = audio.astype(np.float32).swapaxes(1, 2)
  if not signal.shape[2]:  # There is nothing to reflect.
    signal = np.pad(signal, ((0, 0), (0, 0), (0, 1)))
  signal = np.pad(signal, ((0, 0), (0, 0), (size // 2,) * 2), "reflect")
  frames = np.lib.stride_tricks.sliding_window_view(signal, size, axis=2)
  return frames[:, :, ::hop]
