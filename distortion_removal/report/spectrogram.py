"""Spectrograms as pictures, for one excerpt or many beside each other."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

RANGE_DB = 80.0
_FRAME_SECONDS = 0.064
_FLOOR = 1e-9


class Spectrogram(NamedTuple):
  """A spectrogram and where it lies.

  Attributes:
    level_db: `[frequencies, frames]`, of the magnitudes as they are.
    extent: edges as `imshow` has them: seconds, seconds, kHz, kHz.
    seconds: length of the audio.
    top_khz: half the sample rate.
  """

  level_db: np.ndarray
  extent: tuple[float, float, float, float]
  seconds: float
  top_khz: float

  @property
  def peak_db(self) -> float:
    """The highest level; for silence one that leaves it black."""
    return max(self.level_db.max(), 20.0 * np.log10(_FLOOR) + RANGE_DB)


def spectrogram(signal: np.ndarray, sample_rate: int) -> Spectrogram:
  """Frames of the power of two that is nearest to 64 ms, a quarter apart.

  Args:
    signal: `[time]`; what is shorter than a frame is padded.
    sample_rate: in Hz.
  """
  from scipy.signal import ShortTimeFFT, get_window

  frame = 2 ** round(np.log2(_FRAME_SECONDS * sample_rate))
  padded = np.pad(signal, (0, max(0, frame - len(signal))))
  window = get_window("hann", frame)
  transform = ShortTimeFFT(window, hop=frame // 4, fs=sample_rate)
  magnitudes = np.abs(transform.stft(padded.astype(np.float64)))
  start, end, bottom, top = transform.extent(len(padded), center_bins=True)
  return Spectrogram(
    20.0 * np.log10(magnitudes + _FLOOR),
    (start, end, bottom / 1000.0, top / 1000.0),
    len(padded) / sample_rate,
    sample_rate / 2000.0,
  )


def show(axis: Axes, shown: Spectrogram, top_db: float) -> AxesImage:
  """Draws a spectrogram, from `top_db` down to 80 dB below, less `top_db`."""
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
