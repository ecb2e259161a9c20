"""PEAQ, the perceived quality of audio, basic version (ITU-R BS.1387-1).

The standard leaves much open; this follows Kabal's reading of it, and where
that leaves something open, his PQevalAudio: scale, frames and averages alike.
`ear_model` and `patterns` are the ear, `measures` and `comparison` find the
differences in each frame, `grade` averages them into variables and a grade.
"""

from typing import NamedTuple

import numpy as np

from distortion_removal.audio import resampling
from distortion_removal.metrics.peaq import comparison, ear_model, grade
from distortion_removal.metrics.signals import check_pair, defined, map_items

SETTINGS = (
  "basic version as PQevalAudio, 92 dB SPL, 48 kHz (other rates resampled by "
  "soxr VHQ), rounded to 16 bit"
)


class PeaqScores(NamedTuple):
  """PEAQ's scores of a batch, `[batch]` float64, NaN where undefined."""

  odg: np.ndarray  # objective difference grade
  movs: dict[str, np.ndarray]  # the eleven model output variables by name


def peaq(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes PEAQ's objective difference grade (higher is better).

  From 0, imperceptible, to -4, very annoying; the network's output lies in
  (-3.98, 0.22). Identical signals get the most that their bandwidth allows,
  0.13 to 0.21. One or two channels: the variables of two are averaged, except
  those of detection, which take the more audible one.

  PEAQ does not hear polarity and is mild on missing sound: a silent estimate
  gets about -1.3, less than most distortion costs. Frames that are silent on
  both sides count as perfect, with all of the bandwidth, and so does a channel
  that is (a pair graded -3.8 gets +0.2 with a silent second channel). Those
  before the first and after the last loud sample of the target (five magnitudes
  that sum to more than 200 of 32768) do not count. Within half a second of the
  file's start modulation and noise loudness do not count: shorter audio is
  graded too well.

  PEAQ is defined at 48 kHz. Other rates are resampled (soxr, VHQ), and then
  nothing but noise is above their Nyquist frequency. The bandwidths are those
  of the bins that stand out of the estimate's spectrum above 21.6 kHz, searched
  above 8.1 kHz; at 16 kHz no frame need have one, and the variable is then 0.
  That noise is therefore a convention: here it is the rounding to 16 bit,
  without clipping, after resampling, as in the files that PEAQ usually gets. On
  84 pairs at 16 kHz (twelve recordings of 5 s, clipped, noisy or filtered) an
  insignificant change moved the grade by more than 0.1 in

      soxr HQ for VHQ       1 % of them rounded, 40 % not rounded
      float32 for float64   0 %                  49 %
      added noise of 1e-7   6 %                   0 %

  and rounding itself in 71 %, by up to 1.6. Grades compare only within one rate
  and one convention.

  A target for all estimates is analysed once; its spectra take 0.4 MB a second
  and channel. Full scale is 1. Arguments and errors: see `metrics.si_sdr`.

  Returns:
    `[batch]` float64; NaN where a sample is not finite or the target silent,
    never loud enough to start, or ends before its first 1024 samples at 48 kHz.

  Raises:
    ValueError: the shapes do not fit, or there are more than two channels.

  Source: Kabal, "An Examination and Interpretation of ITU-R BS.1387:
  Perceptual Evaluation of Audio Quality", McGill University, 2002.
  """
  return analyse(estimate, target, sample_rate=sample_rate).odg


def analyse(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> PeaqScores:
  """Computes the grade and its variables; all else as for `peaq`."""
  estimate, target = check_pair(estimate, target)
  if estimate.shape[2] not in (1, 2):
    raise ValueError(f"PEAQ takes 1 or 2 channels, got {estimate.shape[2]}")

  def references(item: int) -> list[comparison.Reference]:
    return _analyse_target(_samples(target[item], sample_rate))

  def score(item: int) -> np.ndarray:
    samples = _samples(estimate[item], sample_rate)
    return _variables(samples, references(item) if shared is None else shared)

  items = np.flatnonzero(defined(estimate, target))
  shared = references(0) if len(target) == 1 and items.size else None
  movs = np.full((len(estimate), len(grade.MOVS)), np.nan)
  for item, values in zip(items, map_items(score, items), strict=True):
    movs[item] = values
  odg = grade.objective_difference_grade(movs)
  return PeaqScores(odg, dict(zip(grade.MOVS, movs.T, strict=True)))


def _samples(audio: np.ndarray, sample_rate: int) -> np.ndarray:
  """Converts `[time, channels]` to 16-bit integers at 48 kHz, as float64."""
  # float32 would leave noise of its own above the old Nyquist frequency.
  audio = audio.astype(np.float64)
  audio = resampling.resample(audio, sample_rate, ear_model.RATE)
  return np.round(audio * ear_model.FULL_SCALE)


@np.errstate(all="ignore")
def _analyse_target(samples: np.ndarray) -> list[comparison.Reference]:
  """Analyses every channel; returns none where there is no frame to compare."""
  span = comparison.find_span(samples)
  if span.count <= span.first:
    return []
  return [comparison.analyse_target(channel, span) for channel in samples.T]


@np.errstate(all="ignore")
def _variables(
  samples: np.ndarray, references: list[comparison.Reference]
) -> np.ndarray:
  """Computes one estimate's eleven variables, NaN without a reference."""
  if not references:
    return np.full(len(grade.MOVS), np.nan)
  pairs = zip(samples.T, references, strict=True)
  channels = [comparison.compare(*pair) for pair in pairs]
  return grade.model_output_variables(channels, references[0].span.first)
