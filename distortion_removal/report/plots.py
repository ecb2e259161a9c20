"""Pictures of audio and of scores, drawn without a display."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_FRAME = 1024
_RANGE_DB = 80.0

# Okabe and Ito (2008): distinct to colour-blind readers and in grey print.
COLOURS = (
  "#000000",
  "#0072B2",
  "#E69F00",
  "#009E73",
  "#D55E00",
  "#CC79A7",
  "#56B4E9",
)


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
    _spectrogram(axis, audio[:, 0], sample_rate)
    axis.set_title(name, loc="left", fontsize=9)
    axis.set_ylabel("kHz")
  axes[-1].set_xlabel("time / s")
  return figure


def _spectrogram(axis: Axes, signal: np.ndarray, sample_rate: int) -> None:
  from scipy.signal import ShortTimeFFT, get_window

  window = get_window("hann", _FRAME)
  transform = ShortTimeFFT(window, hop=_FRAME // 4, fs=sample_rate)
  padded = np.pad(signal, (0, max(0, _FRAME - len(signal))))
  level_db = 20.0 * np.log10(np.abs(transform.stft(padded)) + 1e-9)
  top = level_db.max()
  axis.imshow(
    level_db,
    origin="lower",
    aspect="auto",
    extent=(0, len(padded) / sample_rate, 0, sample_rate / 2000.0),
    vmin=top - _RANGE_DB,
    vmax=top,
    cmap="magma",
    interpolation="nearest",
  )


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
  for i, (method, by_level) in enumerate(scores.items()):
    levels = sorted(level for level in by_level if level is not None)
    low, median, high = (
      [np.nanpercentile(by_level[level], q) for level in levels]
      for q in (25, 50, 75)
    )
    colour = COLOURS[i % len(COLOURS)]
    style = "--" if method == "distorted" else "-"
    axis.plot(
      levels, median, style, marker="o", ms=4, color=colour, label=method
    )
    axis.fill_between(levels, low, high, color=colour, alpha=0.15, lw=0)
  axis.set_xlabel(level_label)
  axis.set_ylabel(score_label)
  axis.grid(alpha=0.3)
  axis.legend(frameon=False)
  return figure
