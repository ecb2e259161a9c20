"""Pictures of sounds, small enough to have a thousand of them on a page."""

import string
from pathlib import Path

import numpy as np

COLUMNS = 120
_ROWS = 40
_FRAME_SECONDS = 0.032
_RANGE_DB = 70.0
# A digit each for 64 amplitudes; none of them needs escaping in HTML or JSON.
DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def waveform(audio: np.ndarray) -> str:
  """Returns the outline of `[time, channels]` audio that all channels share.

  It has two `DIGITS`, of which 0 is −1 and 63 is +1, for the least and the
  greatest sample of each of at most `COLUMNS` columns.
  """
  columns = min(COLUMNS, len(audio))
  if not columns:
    return ""
  edges = np.linspace(0, len(audio), columns, endpoint=False).astype(int)
  low = np.minimum.reduceat(audio.min(axis=1), edges)
  high = np.maximum.reduceat(audio.max(axis=1), edges)
  pairs = np.stack([low, high], axis=1).ravel()
  codes = np.clip(np.rint((pairs + 1.0) * 31.5), 0, 63).astype(int)
  return "".join(DIGITS[code] for code in codes)


def spectrogram(audio: np.ndarray, *, sample_rate: int) -> np.ndarray:
  """Returns the level of `[time, channels]` audio over frequency and time.

  Channels are averaged in power.

  Returns:
    `[rows, columns]` dB below the peak, −120 dB for silence; the first row is
    the highest band.
  """
  frame_samples = round(_FRAME_SECONDS * sample_rate)
  padded = np.pad(audio, ((0, max(0, frame_samples - len(audio))), (0, 0)))
  # Twice as many frames as columns: none of the sound is left out as long as
  # it is no longer than 240 frames, and of longer sounds a fair sample is seen.
  last = len(padded) - frame_samples
  starts = np.linspace(0, last, 2 * COLUMNS).astype(int)
  frames = padded[starts[:, None] + np.arange(frame_samples)]
  window = np.hanning(frame_samples)[:, None]
  power = np.square(np.abs(np.fft.rfft(frames * window, axis=1))).mean(axis=2)
  power = power.reshape(COLUMNS, 2, -1).mean(axis=1)
  edges = np.linspace(0, power.shape[1], _ROWS, endpoint=False).astype(int)
  power = np.maximum.reduceat(power, edges, axis=1).T[::-1]
  peak = power.max() or 1.0
  return 10.0 * np.log10(power / peak + 1e-12)


def write_spectrogram(path: Path, audio: np.ndarray, sample_rate: int) -> None:
  """Writes a PNG picture of 70 dB below the peak."""
  from matplotlib.image import imsave

  level_db = spectrogram(audio, sample_rate=sample_rate)
  imsave(path, level_db, cmap="magma", vmin=-_RANGE_DB, vmax=0.0)
