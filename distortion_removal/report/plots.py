"""Pictures of audio and of scores, drawn without a display."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from distortion_removal.report import spectrogram
from distortion_removal.report.styles import styles


def spectrogram_strip(
  sounds: Mapping[str, np.ndarray], sample_rate: int
) -> Figure:
  """Spectrograms of versions of one excerpt above each other.

  Args:
    sounds: `[time, channels]` by name; the first channel is drawn, each on
      its own scale of 80 dB below its peak.
    sample_rate: Hz.
  """
  figure = Figure(figsize=(7.0, 1.7 * len(sounds)), layout="constrained")
  axes = np.atleast_1d(figure.subplots(len(sounds), sharex=True, sharey=True))
  for axis, (name, audio) in zip(axes, sounds.items(), strict=True):
    shown = spectrogram.spectrogram(audio[:, 0], sample_rate)
    spectrogram.show(axis, shown, shown.peak_db)
    axis.set_title(name, loc="left", fontsize=9)
    axis.set_ylabel("kHz")
  axes[-1].set_xlabel("time / s")
  return figure


def score_by_level(
  scores: Mapping[str, Mapping[float, Sequence[float]]],
  *,
  level_label: str,
  score_label: str,
) -> Figure:
  """Median score against level, a line per method, quartiles as bands.

  Args:
    scores: by method, by level, one value per excerpt, or one in all; the
      level None, all together, is not drawn.
    level_label: of the horizontal axis, with unit.
    score_label: of the vertical axis, with unit and direction.
  """
  figure = Figure(figsize=(6.0, 3.6), layout="constrained")
  axis = figure.subplots()
  looks = styles(scores)
  for method, by_level in scores.items():
    levels = sorted(level for level in by_level if level is not None)
    low, median, high = (
      [np.nanpercentile(by_level[level], q) for level in levels]
      for q in (25, 50, 75)
    )
    look = looks[method]
    axis.plot(
      levels,
      median,
      linestyle=look.dash,
      marker=look.marker,
      ms=4,
      color=look.colour,
      label=method,
    )
    axis.fill_between(levels, low, high, color=look.colour, alpha=0.15, lw=0)
  axis.set_xlabel(level_label)
  axis.set_ylabel(score_label)
  axis.grid(alpha=0.3)
  axis.legend(frameon=False)
  return figure
