"""Reads of a recording what a plot of its clipping shows."""

from pathlib import Path

import numpy as np

from distortion_removal.audio import files
from distortion_removal.inference.clipping import (
  Survey,
  marked_blocks,
  read_blocks,
)
from distortion_removal.report.figures.clipped import Traces

_PARTS = 1200  # of the time; about as many as a print can tell apart
_BINS = 301
_SPOT_SECONDS = 0.02


def trace(source: Path, clipping: Survey) -> Traces:
  """Reads a recording whose clipping is known, in constant memory."""
  info = files.info(source)
  channels, frames, rate = info.channels, info.frames, info.sample_rate
  parts, spot_length = min(_PARTS, frames), round(_SPOT_SECONDS * rate)
  edges = np.linspace(-1.0, 1.0, _BINS + 1) * (clipping.peak or 1.0) * 1.05
  counts = np.zeros((channels, _BINS), int)
  low = np.full((channels, parts), np.inf)
  high, most, start = -low, -1, 0
  marks = np.zeros((2, channels, parts), bool)
  for block, signs in marked_blocks(read_blocks(source), clipping):
    part = (start + np.arange(len(block))) * parts // frames
    first = np.flatnonzero(np.diff(part, prepend=-1))
    here = part[first]
    low[:, here] = np.minimum(low[:, here], np.minimum.reduceat(block, first).T)
    high[:, here] = np.maximum(
      high[:, here], np.maximum.reduceat(block, first).T
    )
    for side, is_clipped in zip(marks, (signs < 0, signs > 0), strict=True):
      side[:, here] |= np.logical_or.reduceat(is_clipped, first).T
    counts += [np.histogram(x, edges)[0] for x in block.T]
    number = np.add.reduceat(signs != 0, np.arange(0, len(block), spot_length))
    best = int(np.argmax(number.max(axis=1)))
    if number[best].max() > most:
      most, spot_start = number[best].max(), start + best * spot_length
      spot = block[best * spot_length :][:spot_length].T.copy()
      spot_signs = signs[best * spot_length :][:spot_length].T.copy()
    start += len(block)
  return Traces(
    frames / rate,
    [
      clipping.levels_of(k, -1) + clipping.levels_of(k, 1)
      for k in range(channels)
    ],
    low,
    high,
    *marks,
    edges,
    counts,
    spot,
    spot_signs,
    (spot_start / rate, (spot_start + spot.shape[1]) / rate),
  )
