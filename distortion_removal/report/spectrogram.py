"""Spectrograms as pictures, drawn without a display."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

RANGE_DB = 80.0
_FRAME_SECONDS = 0.064
_FLOOR = 1e-9


class Spectrogram(NamedTuple):
  """A spectrogram and where it lies."""

  level_db: np.ndarray  # `[frequencies, frames]`, level of the magnitudes
  extent: tuple[float, float, float, float]  # for `imshow`: s, s, kHz, kHz
  seconds: float  # length of the audio
  top_khz: float  # half the sample rate

  @property
  def peak_db(self) -> float:
    """The highest level; for silence one that leaves it black."""
    return max(self.level_db.max(), 20.0 * np.log10(_FLOOR) + RANGE_DB)


def frame_samples(sample_rate: int) -> int:
  """Returns the power of two nearest to 64 ms."""
  return 2 ** round(np.log2(_FRAME_SECONDS * sample_rate))


def spectrogram(signal: np.ndarray, sample_rate: int) -> Spectrogram:
  """Takes frames of the power of two nearest to 64 ms, a quarter apart.

  Args:
    signal: `[time]`; padded if it is shorter than a frame.
    sample_rate: in Hz.
  """
  from scipy.signal import ShortTimeFFT, get_window

  length = frame_samples(sample_rate)
  padded = np.pad(signal, (0, max(0, length - len(signal))))
  window = get_window("hann", length)
  transform = ShortTimeFFT(window, hop=length // 4, fs=sample_rate)
  magnitudes = np.abs(transform.stft(padded.astype(np.float64)))
  start, end, bottom, top = transform.extent(len(padded), center_bins=True)
  return Spectrogram(
    20.0 * np.log10(magnitudes + _FLOOR),
    (start, end, bottom / 1000.0, top / 1000.0),
    len(padded) / sample_rate,
    sample_rate / 2000.0,
  )


def show(axis: Axes, shown: Spectrogram, top_db: float) -> AxesImage:
  """Draws a spectrogram from `top_db` down to 80 dB below, re `top_db`."""
  image = axis.imshow(
    shown.level_db - top_db,
    origin="lower",
    aspect="auto",
    extent=shown.extent,
    vmin=-RANGE_DB,
    vmax=0.0,
    cmap="magma",
    interpolation="nearest",
  )
  axis.set_xlim(0.0, shown.seconds)
  axis.set_ylim(0.0, shown.top_khz)
  return image


def spectrogram_strip(
  sounds: Mapping[str, np.ndarray], sample_rate: int
) -> Figure:
  """Draws spectrograms of versions of one excerpt above each other.

  Of `[time, channels]` the first channel is drawn, each on its own scale of
  80 dB below its peak.
  """
  figure = Figure(figsize=(7.0, 1.7 * len(sounds)), layout="constrained")
  axes = np.atleast_1d(figure.subplots(len(sounds), sharex=True, sharey=True))
  for axis, (name, audio) in zip(axes, sounds.items(), strict=True):
    shown = spectrogram(audio[:, 0], sample_rate)
    show(axis, shown, shown.peak_db)
    axis.set_title(name, loc="left", fontsize=9)
    axis.set_ylabel("kHz")
  axes[-1].set_xlabel("time / s")
  return figure
