"""One recording: where it is clipped, and at which levels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
  EngFormatter,
  LogLocator,
  MaxNLocator,
  NullLocator,
)

from distortion_removal.report.figures import drawing

_SAMPLES, _CLIPPED = "#0072B2", "#D62728"
_MOST_CHANNELS = 8


class Traces(NamedTuple):
  """What is drawn of a recording.

  Attributes:
    seconds: length of the recording.
    levels: of each channel, at which it is clipped.
    low: least sample in each of equal parts of the time, `[channels, parts]`.
    high: largest one.
    is_low: whether samples are clipped there, at the lower side.
    is_high: at the upper side.
    edges: of the histogram's bins, `[bins + 1]`.
    counts: of samples in them, `[channels, bins]`.
    spot: samples where most are clipped, `[channels, time]`.
    spot_signs: which of them are, as of `clip_signs`.
    spot_seconds: where they start and end.
  """

  seconds: float
  levels: Sequence[Sequence[float]]
  low: np.ndarray
  high: np.ndarray
  is_low: np.ndarray
  is_high: np.ndarray
  edges: np.ndarray
  counts: np.ndarray
  spot: np.ndarray
  spot_signs: np.ndarray
  spot_seconds: tuple[float, float]


@drawing.look()
def draw(traces: Traces, title: str) -> Figure:
  """Draws waveforms next to histograms, and the spot with most clipping.

  Clipped samples are red, and so are the levels. Of many channels the first
  eight are drawn.
  """
  shown = min(len(traces.low), _MOST_CHANNELS)
  figure = Figure(
    figsize=(drawing.TWO_COLUMNS, 0.7 + 1.4 * (shown + 1)), layout="constrained"
  )
  axes = figure.subplots(
    shown + 1, 2, sharey=True, width_ratios=(3, 1), squeeze=False
  )
  for channel, (left, right) in enumerate(axes[:-1]):
    _draw_waveform(left, traces, channel)
    _draw_histogram(right, traces, channel)
    name = f", channel {channel + 1}" if shown > 1 else ""
    left.set_ylabel(f"sample{name}")
  grid = axes[-1, 0].get_gridspec()
  for axis in axes[-1]:
    axis.remove()
  _draw_spot(figure.add_subplot(grid[-1, :]), traces, shown)
  axes[-2, 0].set_xlabel("time / s")
  axes[-2, 1].set_xlabel("samples in a bin")
  figure.legend(
    handles=[
      Line2D([], [], color=_SAMPLES, label="samples"),
      Line2D([], [], color=_CLIPPED, label="clipped samples"),
      Line2D([], [], color=_CLIPPED, lw=0.8, ls="--", label="clip level"),
    ],
    loc="outside lower center",
    ncols=3,
  )
  figure.suptitle(title)
  return figure


def _draw_waveform(axis: Axes, traces: Traces, channel: int) -> None:
  low, high = traces.low[channel], traces.high[channel]
  time = np.linspace(0.0, traces.seconds, len(low) + 1)
  line = {"step": "post", "lw": 0.3}
  # The last part ends at the last edge.
  low, high = (np.append(side, side[-1]) for side in (low, high))
  axis.fill_between(time, low, high, color=_SAMPLES, **line)
  # As tall as can be seen: a part of the plot at the side that is clipped.
  peak = max(np.max(np.abs([traces.low, traces.high])), 1e-9)
  tall = 0.1 * peak
  for side, marks, inner in (
    (low, traces.is_low, np.minimum(low + tall, high)),
    (high, traces.is_high, np.maximum(high - tall, low)),
  ):
    is_clipped = np.append(marks[channel], False)
    axis.vlines(
      time[is_clipped],
      side[is_clipped],
      inner[is_clipped],
      color=_CLIPPED,
      lw=0.5,
    )
  axis.set_xlim(0.0, traces.seconds)
  axis.set_ylim(-1.35 * peak, 1.35 * peak)  # with room for the levels' names
  axis.grid(axis="y")
  _draw_levels(axis, traces.levels[channel])


def _draw_histogram(axis: Axes, traces: Traces, channel: int) -> None:
  counts = traces.counts[channel]
  axis.stairs(
    counts, traces.edges, orientation="horizontal", fill=True, color=_SAMPLES
  )
  axis.set_xscale("log")
  axis.xaxis.set_major_locator(LogLocator(numticks=4))
  axis.xaxis.set_minor_locator(NullLocator())
  axis.xaxis.set_major_formatter(EngFormatter(sep=""))
  axis.set_xlim(0.7, max(10.0, 2.0 * counts.max()))
  axis.grid()
  _draw_levels(axis, traces.levels[channel])
  for level in traces.levels[channel]:
    axis.annotate(
      f"{level:.4g}",
      (1.0, level),
      xycoords=("axes fraction", "data"),
      xytext=(-2, 1 if level > 0 else -2),
      textcoords="offset points",
      ha="right",
      va="bottom" if level > 0 else "top",
      fontsize=7.0,
      color=_CLIPPED,
    )


def _draw_levels(axis: Axes, levels: Sequence[float]) -> None:
  for level in levels:
    axis.axhline(level, color=_CLIPPED, lw=0.6, ls="--", zorder=3)


def _draw_spot(axis: Axes, traces: Traces, shown: int) -> None:
  """Draws samples of the channel that is clipped most there."""
  marks = traces.spot_signs[:shown] != 0
  channel = int(np.argmax(marks.sum(axis=1)))
  samples, is_clipped = traces.spot[channel], marks[channel]
  time = np.linspace(*traces.spot_seconds, len(samples), endpoint=False)
  axis.plot(time, samples, color=_SAMPLES, lw=0.8)
  axis.plot(
    time[is_clipped],
    samples[is_clipped],
    color=_CLIPPED,
    ls="none",
    marker=".",
    markersize=3.0,
  )
  axis.set_xlim(traces.spot_seconds)
  axis.xaxis.set_major_locator(MaxNLocator(8))
  axis.grid()
  axis.set_xlabel("time / s")
  axis.set_ylabel("sample")
  of = f" of channel {channel + 1}" if len(traces.low) > 1 else ""
  what = "most clipped" if marks.any() else "first"
  length_ms = 1000 * np.ptp(traces.spot_seconds)
  axis.set_title(f"the {what} {length_ms:.0f} ms{of}", loc="left")
  _draw_levels(axis, traces.levels[channel])
