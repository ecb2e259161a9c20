"""Analyzes a recording: its clipping over time, levels, loudness and effect.

The input SDR, what a declipper starts from, compares the recording with the one
that was clipped, which nobody has. It is estimated: the peak that a run of L
clipped samples cut off is taken as the parabola that goes on with the mean
slope s next to it, of height s L / 4.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distortion_removal.audio import files, loudness
from distortion_removal.inference import blind
from distortion_removal.inference.clipping import (
  Survey,
  marked_blocks,
  read_blocks,
  survey,
)
from distortion_removal.metrics import number

_MOST_SPANS = 5  # of clipped samples in a channel
_LEAST_GAP_SECONDS = 1.0  # between them
_CELL_SECONDS = 0.1  # what lies within one is never taken apart
_HIGHEST = 8.0  # that a parabola may be, in units of the level
_LOUDNESS_CHANNELS = 5  # that BS.1770 has weights for, without an LFE


class Analysis(NamedTuple):
  """What `analyze` finds.

  Attributes:
    clipping: the survey.
    content: all that is found, for JSON.
  """

  clipping: Survey
  content: dict[str, Any]


def analyze(source: Path, choice: blind.Choice = blind.OVERDRIVE) -> Analysis:
  """Finds a recording's clipping, levels and the effect it went through.

  Args:
    source: the recording.
    choice: the effects to look for.

  Returns:
    The content has the form of the recording; its levels; "clipping", see
    `Survey.as_json`, with the spans of each channel; and "effects", one of each
    channel, None where there is too little sound.
  """
  clipping, content = examine(source)
  found = blind.find(source, choice)
  content |= {
    "effects": [one.as_json() if one else None for one in found],
    "summary": blind.describe(found, choice),
  }
  return Analysis(clipping, content)


def examine(source: Path) -> Analysis:
  """Finds what `analyze` does but the effect, which takes most of the time."""
  info = files.info(source)
  rate, samples = info.sample_rate, info.frames * info.channels
  clipping = survey(source)
  measured = _measure(marked_blocks(read_blocks(source), clipping), rate)
  content = {
    "sample_rate": rate,
    "channels": info.channels,
    "frames": info.frames,
    "levels": {
      "peak_dbfs": _decibels(clipping.peak),
      "true_peak_dbtp": _decibels(
        loudness.true_peak(read_blocks(source), sample_rate=rate)
      ),
      "loudness_lufs": _loudness(source, rate, info.channels),
      "dc": [float(x) for x in measured["total"] / info.frames],
    },
    "clipping": clipping.as_json(samples)
    | {
      "input_sdr_db": _input_sdr_db(measured) if clipping.count else None,
      "channels": [
        {"low": int(low), "high": int(high), "spans": _spans(spots, rate)}
        for (low, high), spots in zip(
          measured["counts"], measured["spots"], strict=True
        )
      ],
      "soft_low": _knees(clipping, 0),
      "soft_high": _knees(clipping, 1),
    },
  }
  return Analysis(clipping, content)


def _decibels(amplitude: float) -> float | None:
  with np.errstate(divide="ignore"):
    return number(20.0 * np.log10(amplitude))


def _loudness(source: Path, rate: int, channels: int) -> float | None:
  if channels > _LOUDNESS_CHANNELS:
    return None
  return number(
    loudness.loudness_of_blocks(read_blocks(source), sample_rate=rate)
  )


def _knees(clipping: Survey, side: int) -> list[float | None]:
  """Returns where each channel looks softly clipped, None for nowhere."""
  channels = clipping.rails.low.shape[1]
  if clipping.soft is None:
    return [None] * channels
  return [number(x) for x in clipping.soft[side][0]]


def _measure(
  blocks: Iterable[tuple[np.ndarray, np.ndarray]], rate: int
) -> dict[str, Any]:
  """Reads a recording with its marks, see `marked_blocks`.

  Returns:
    Sums "total", "energy", "missing" and "error" of each channel, the latter
    two as of `_missing`; "counts" of clipped samples `[channels, 2]`, low and
    high; and its "spots", arrays `[3, cells]`: the first and last clipped
    sample of cells, and how many there are.
  """
  cell, start, spots, sums = round(_CELL_SECONDS * rate), 0, None, {}
  for block, signs in blocks:
    spots = spots or [[] for _ in block.T]
    for channel, marks in enumerate(signs.T):
      at = start + np.flatnonzero(marks)
      _, first, count = np.unique(
        at // cell, return_index=True, return_counts=True
      )
      spots[channel].append([at[first], at[first + count - 1], count])
    missing, error = _missing(block, signs)
    for name, more in {
      "total": block.sum(axis=0),
      "energy": np.square(block).sum(axis=0),
      "missing": missing,
      "error": error,
      "counts": np.stack([(signs < 0).sum(0), (signs > 0).sum(0)], axis=1),
    }.items():
      sums[name] = sums.get(name, 0) + more
    start += len(block)
  return sums | {"spots": [np.concatenate(each, axis=1) for each in spots]}


def _missing(
  block: np.ndarray, signs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Estimates what clipping took from each channel of a block.

  Runs of clipped samples that reach the block's ends are left out.

  Returns:
    The sums of what it took times the sample that is left, and squared.
  """
  missing, error = np.zeros((2, block.shape[1]))
  for channel, (audio, marks) in enumerate(zip(block.T, signs.T, strict=True)):
    edges = np.flatnonzero(np.diff(marks))
    first, after = edges[:-1] + 1, edges[1:] + 1
    is_run = (marks[first] != 0) & (first >= 2) & (after < len(audio) - 1)
    first, after = first[is_run], after[is_run]
    sign, length = marks[first], after - first
    rise = sign * (audio[first - 1] - audio[first - 2])
    fall = sign * (audio[after] - audio[after + 1])
    slope = np.mean(np.maximum([rise, fall], 0.0), axis=0)
    level = np.abs(audio[first])
    height = np.minimum(slope * length / 4, _HIGHEST * level)
    missing[channel] = np.sum(2 / 3 * height * length * level)
    error[channel] = np.sum(8 / 15 * height**2 * length)
  return missing, error


def _input_sdr_db(measured: dict[str, np.ndarray]) -> float | None:
  """Returns the power of the unclipped recording over that of the error."""
  error = measured["error"].sum()
  clean = measured["energy"].sum() + 2 * measured["missing"].sum() + error
  with np.errstate(divide="ignore"):
    return number(10.0 * np.log10(clean / error))


def _spans(spots: np.ndarray, rate: int) -> list[dict[str, float]]:
  """Joins cells with clipped samples to a few spans of time."""
  first, last, count = spots
  gaps = first[1:] - last[:-1]
  longest = np.argsort(gaps)[::-1][: _MOST_SPANS - 1]
  cuts = np.sort(longest[gaps[longest] >= _LEAST_GAP_SECONDS * rate]) + 1
  return [
    {
      "start_seconds": float(part[0, 0] / rate),
      "end_seconds": float((part[1, -1] + 1) / rate),
      "clipped_samples": int(part[2].sum()),
    }
    for part in np.split(spots, cuts, axis=1)
    if len(count) and part.shape[1]
  ]
