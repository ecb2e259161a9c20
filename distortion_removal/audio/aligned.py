"""Recordings, made comparable sample by sample.

The rules hold for all metrics, and what was done is logged:

* Sample rate: the reference's. An estimate of another is resampled to it by
  soxr VHQ; a metric may resample further, as PEAQ does, to 48 kHz.
* Channels: as many on both sides, for whether mono stands for the left, the
  right or both is not for a program to guess; `mono` averages the channels of
  all files.
* Lag: one of whole samples is found and removed, see `alignment`. Metrics that
  hardly notice one get the signals as they are if it is small: what a filter
  does to the phase looks like a lag. Level and sign stay as they are; whether
  they count is a metric's own business.
* Length: what all files have in common is compared, and a warning told where
  that leaves out more than 5 % of the reference.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.alignment import common_part, find_lag
from distortion_removal.audio.resampling import resample
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger

_COMPLETE = 0.95


@dataclasses.dataclass(frozen=True)
class Track:
  """A recording, at the rate of the reference.

  Attributes:
    path: of the file.
    audio: `[time, channels]` float32.
    sample_rate: of the audio, in Hz.
    resampled_from: the file's own rate, where that is another.
    lag_samples: how much it comes after the reference, at `sample_rate`.
  """

  path: Path
  audio: np.ndarray
  sample_rate: int
  resampled_from: int | None = None
  lag_samples: int = 0

  def done(self) -> dict:
    """What was done to the file, for JSON."""
    return {
      "resampled_from": self.resampled_from,
      "lag_samples": self.lag_samples,
    }


def check_files(paths: Sequence[Path], mono: bool) -> int:
  """Reads every file once, so that what is wrong is told before any work.

  Args:
    paths: the reference comes first.
    mono: whether the means of the channels are compared.

  Returns:
    The channels to compare.

  Raises:
    UserError: a file cannot be used, or has other channels than the reference.
  """
  counts = {}
  for path in dict.fromkeys(paths):
    with files.open_reader(path) as reader:
      for _ in reader.blocks():
        pass
    counts[path] = reader.channels
    if reader.channels != counts[paths[0]] and not mono:
      raise UserError(
        f"{path}: channels differ, {reader.channels} here and "
        f"{counts[paths[0]]} in {paths[0]}; --mono compares their means"
      )
  return 1 if mono else counts[paths[0]]


def load(path: Path, *, mono: bool = False) -> Track:
  """Reads the reference.

  Args:
    path: any file that libsndfile reads.
    mono: whether to take the mean of its channels.

  Raises:
    UserError: it cannot be used, see `audio_io.read`.
  """
  audio, sample_rate = files.read(path)
  if mono:
    audio = audio.mean(axis=1, keepdims=True)
  return Track(path, audio, sample_rate)


def load_beside(
  path: Path, reference: Track, *, max_lag_seconds: float, mono: bool = False
) -> Track:
  """Reads a file, at the reference's rate, and finds its lag.

  Args:
    path: any file that libsndfile reads.
    reference: has as many channels.
    max_lag_seconds: the largest lag to look for; 0 leaves the file as it is.
    mono: whether to take the mean of its channels.

  Raises:
    UserError: it cannot be used, see `audio_io.read`.
  """
  track = load(path, mono=mono)
  audio = resample(track.audio, track.sample_rate, reference.sample_rate)
  lag = find_lag(
    audio,
    reference.audio,
    max_lag=round(max_lag_seconds * reference.sample_rate),
  )
  resampled_from = None
  if track.sample_rate != reference.sample_rate:
    resampled_from = track.sample_rate
    logger.info(
      "%s: resampled from %d to %d Hz, the reference's rate",
      path,
      resampled_from,
      reference.sample_rate,
    )
  if lag:
    side = "late" if lag > 0 else "early"
    logger.info("%s: %d samples %s, which is undone", path, abs(lag), side)
  return Track(path, audio, reference.sample_rate, resampled_from, lag)


def compared_parts(
  reference: Track, estimate: Track, *others: Track
) -> list[np.ndarray]:
  """What all have in common, without their lags; tells what is left out.

  Returns:
    `[time, channels]` of one length for each.

  Raises:
    UserError: there is nothing in common.
  """
  tracks = (reference, estimate, *others)
  parts = common_part(
    [track.audio for track in tracks], [track.lag_samples for track in tracks]
  )
  if not len(parts[0]):
    raise UserError(
      f"{estimate.path}: too short to compare with {reference.path}: no "
      "sample of it has a counterpart"
    )
  _tell_of_parts(reference, estimate, parts)
  return parts


def _tell_of_parts(
  reference: Track, estimate: Track, parts: Sequence[np.ndarray]
) -> None:
  common, whole = len(parts[0]), len(reference.audio)
  if common < _COMPLETE * whole:
    logger.warning(
      "%s: only %.1f %% of the reference has a counterpart",
      estimate.path,
      100.0 * common / whole,
    )
  elif {common} != {whole, len(estimate.audio) - abs(estimate.lag_samples)}:
    logger.info(
      "%s: what both have is compared, %.3f s",
      estimate.path,
      common / reference.sample_rate,
    )
  for track, part in zip((reference, estimate), parts, strict=False):
    if not part.any():
      logger.warning("%s: only silence where it is compared", track.path)
  silent = np.flatnonzero(~parts[0].any(axis=0))
  if 0 < len(silent) < parts[0].shape[1]:
    logger.warning(
      "%s: channel %d is silent; PEAQ finds it perfect where it stays so",
      reference.path,
      silent[0] + 1,
    )
