"""Recordings made comparable sample by sample, the same way for all metrics.

The log reports what was done:

* Sample rate: the reference's. Soxr (VHQ) resamples an estimate of another
  rate; a metric may resample further, as PEAQ does, to 48 kHz.
* Channels: both sides need equally many, since mono may stand for the left, the
  right or both. `mono` averages the channels of all files.
* Lag: one lag of whole samples is removed, see `alignment`. Metrics that hardly
  notice a small lag compare the files as they are: what a filter does to the
  phase looks like a lag. Level and sign stay; metrics decide on those.
* Length: the common part is compared, with a warning if it leaves out more than
  5 % of the reference.
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


@dataclasses.dataclass(frozen=True)
class Track:
  """A recording at the rate of the reference.

  Attributes:
    path: the file.
    audio: `[time, channels]` float32.
    sample_rate: the audio's rate, in Hz.
    resampled_from: the file's own rate, if it differs.
    lag_samples: how much it comes after the reference, at `sample_rate`.
  """

  path: Path
  audio: np.ndarray
  sample_rate: int
  resampled_from: int | None = None
  lag_samples: int = 0

  def changes(self) -> dict:
    """Returns what was done to the file, for JSON."""
    names = "resampled_from", "lag_samples"
    return {name: getattr(self, name) for name in names}


def check_files(paths: Sequence[Path], mono: bool) -> int:
  """Reads every file once, to report a bad one before any work.

  Args:
    paths: the files, the reference first.
    mono: whether to average the channels.

  Returns:
    The number of channels to compare, which must be the reference's.
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


def load_reference(path: Path, *, mono: bool = False) -> Track:
  """Reads the reference; `mono` averages its channels."""
  audio, sample_rate = files.read(path)
  if mono:
    audio = audio.mean(axis=1, keepdims=True)
  return Track(path, audio, sample_rate)


def load_estimate(
  path: Path, reference: Track, *, max_lag_seconds: float, mono: bool = False
) -> Track:
  """Reads a file at the reference's rate, and finds its lag.

  Args:
    path: any recording that `audio.files` reads.
    reference: the track to compare with, of as many channels.
    max_lag_seconds: the largest lag to look for; 0 leaves the file as it is.
    mono: whether to average the channels.
  """
  own, rate = load_reference(path, mono=mono), reference.sample_rate
  audio = resample(own.audio, own.sample_rate, rate)
  resampled_from = None if own.sample_rate == rate else own.sample_rate
  if resampled_from:
    change = f"resampled from {resampled_from} to {rate} Hz"
    logger.info(f"{path}: {change}, the reference's rate")
  lag = find_lag(audio, reference.audio, max_lag=round(max_lag_seconds * rate))
  if lag:
    side = "late" if lag > 0 else "early"
    logger.info(f"{path}: {abs(lag)} samples {side}, which is undone")
  return Track(path, audio, rate, resampled_from, lag)


def compared_parts(
  reference: Track, estimate: Track, *others: Track
) -> list[np.ndarray]:
  """Cuts all tracks to their common part, without lags, and logs what is lost.

  Returns:
    `[time, channels]` for each track, of one length, at least one sample.
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
  _log_losses(reference, estimate, parts)
  return parts


def _log_losses(
  reference: Track, estimate: Track, parts: Sequence[np.ndarray]
) -> None:
  common, whole = len(parts[0]), len(reference.audio)
  if common < 0.95 * whole:
    share = f"{100 * common / whole:.1f} %"
    logger.warning(
      f"{estimate.path}: only {share} of the reference has a counterpart"
    )
  elif {common} != {whole, len(estimate.audio) - abs(estimate.lag_samples)}:
    seconds = f"{common / reference.sample_rate:.3f} s"
    logger.info(f"{estimate.path}: what both have is compared, {seconds}")
  for track, part in zip((reference, estimate), parts, strict=False):
    if not part.any():
      logger.warning(f"{track.path}: only silence where it is compared")
  silent = np.flatnonzero(~parts[0].any(axis=0))
  if 0 < len(silent) < parts[0].shape[1]:
    logger.warning(
      f"{reference.path}: channel {silent[0] + 1} is silent; PEAQ finds it "
      "perfect where it stays so"
    )
