"""Describes a data set: hours, loudness, peaks and silence, split by split.

Computed from what preparing measures of every excerpt, stored beside the
records as `description.json`, shown and drawn by `prepare --describe`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
  from matplotlib.figure import Figure

  from distortion_removal.datasets.preparation.recordings import StoredExcerpt

# Beside the records.
DESCRIPTION_FILE = "description.json"
PLOT_FILE = "description.png"
REPORT_FILE = "report.json"  # what was left out, and why
DIGESTS_FILE = "digests.json"  # of every excerpt's sound, by split
_PERCENTILES = (5, 25, 50, 75, 95)
# What lies beyond is counted in the histograms' outermost bins.
EDGES_DB = tuple(range(-72, 14, 2))


def describe(
  excerpts: Sequence["StoredExcerpt"], sample_rate: int, silent: int
) -> dict:
  """Describes the excerpts of one split, at least one.

  `silent` more were left out because they are silent; recordings that are
  silent throughout belong to no split and do not count.

  Returns:
    Numbers, `silence` (the share of silent excerpts), and `loudness_lufs`
    (BS.1770-4) and `peak_dbfs` on the recording's own scale, each with
    `percentiles` and a `histogram`: counts between `EDGES_DB`.
  """
  loudness = [e.loudness_lufs for e in excerpts if e.loudness_lufs is not None]
  peaks = 20.0 * np.log10([excerpt.peak for excerpt in excerpts])
  seconds = sum(excerpt.frames for excerpt in excerpts) / sample_rate
  return {
    "hours": seconds / 3600,
    "excerpts": len(excerpts),
    "silent_excerpts": silent,
    "silence": silent / (len(excerpts) + silent),
    "loudness_lufs": _distribution(loudness),
    "peak_dbfs": _distribution(peaks),
  }


def _distribution(values: Sequence[float]) -> dict:
  """Computes percentiles, to 0.01 dB, and a histogram; of nothing, empty."""
  if not len(values):
    return {"percentiles": {}, "histogram": [0] * (len(EDGES_DB) - 1)}
  percentiles = np.percentile(values, _PERCENTILES)
  inside = np.clip(values, EDGES_DB[0], EDGES_DB[-1])
  return {
    "percentiles": {
      str(p): round(float(value), 2)
      for p, value in zip(_PERCENTILES, percentiles, strict=True)
    },
    "histogram": np.histogram(inside, EDGES_DB)[0].tolist(),
  }


def to_text(description: Mapping[str, dict]) -> str:
  """Formats a line for each split; distributions as 5 %, median and 95 %."""
  lines = [
    f"{'split':<6}{'hours':>9}{'excerpts':>10}{'silence':>9}"
    f"{'loudness / LUFS':>23}{'peak / dBFS':>23}"
  ]
  for split, facts in description.items():
    ranges = [
      " … ".join(f"{p[key]:.1f}" for key in ("5", "50", "95") if p)
      for p in (facts[k]["percentiles"] for k in ("loudness_lufs", "peak_dbfs"))
    ]
    lines.append(
      f"{split:<6}{facts['hours']:>9.3f}{facts['excerpts']:>10}"
      f"{100 * facts['silence']:>8.1f}%{ranges[0]:>23}{ranges[1]:>23}"
    )
  return "\n".join(lines)


def plot(description: Mapping[str, dict]) -> "Figure":
  """Draws histograms of loudness and peak, a line for each split."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(8.0, 3.2), layout="constrained")
  labels = {"loudness_lufs": "loudness / LUFS", "peak_dbfs": "peak / dBFS"}
  axes = figure.subplots(1, 2, sharey=True)
  for axis, (key, label) in zip(axes, labels.items(), strict=True):
    for split, facts in description.items():
      percent = 100 * np.array(facts[key]["histogram"]) / facts["excerpts"]
      hours = f"{split}, {facts['hours']:.2g} h"
      axis.stairs(percent, EDGES_DB, label=hours)
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)
  axes[0].set_ylabel("excerpts / %")
  axes[0].legend(frameon=False)
  return figure
