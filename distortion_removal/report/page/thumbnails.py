"""Pictures of sounds, small enough to have a thousand of them on a page."""

import functools
import io
import string

import numpy as np

COLUMNS = 120
_ROWS = 40
_FRAME_SECONDS = 0.032
_RANGE_DB = 70.0
_COLOURS = 16  # four bits a pixel
# A digit each for 64 amplitudes; none of them needs escaping in HTML or JSON.
DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def waveform(audio: np.ndarray) -> str:
  """The outline of a sound: least and greatest sample of each column.

  Args:
    audio: `[time, channels]`; channels share the outline.

  Returns:
    Two `DIGITS` a column: 0 is −1 and 63 is +1. Sounds with fewer samples than
    `COLUMNS` have a column for each; empty ones none.
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
  """Level over time and frequency, 70 dB below the peak and up.

  Args:
    audio: `[time, channels]`; channels are averaged in power.
    sample_rate: in Hz.

  Returns:
    `[rows, columns]` uint8, 0 … 15; the first row is the highest band below
    half the sample rate. All 0 of silence.
  """
  frame = round(_FRAME_SECONDS * sample_rate)
  padded = np.pad(audio, ((0, max(0, frame - len(audio))), (0, 0)))
  # Twice as many frames as columns: none of the sound is left out as long as
  # it is no longer than 240 frames, and of longer sounds a fair sample is seen.
  starts = np.linspace(0, len(padded) - frame, 2 * COLUMNS).astype(int)
  frames = padded[starts[:, None] + np.arange(frame)]
  spectra = np.fft.rfft(frames * np.hanning(frame)[:, None], axis=1)
  power = np.square(np.abs(spectra)).mean(axis=2)
  power = power.reshape(COLUMNS, 2, -1).mean(axis=1)
  edges = np.linspace(0, power.shape[1], _ROWS, endpoint=False).astype(int)
  power = np.maximum.reduceat(power, edges, axis=1).T[::-1]
  if not power.max() > 0.0:
    return np.zeros(power.shape, np.uint8)
  level_db = 10.0 * np.log10(power / power.max() + 1e-12)
  steps = (level_db / _RANGE_DB + 1.0) * (_COLOURS - 1)
  return np.clip(np.rint(steps), 0, _COLOURS - 1).astype(np.uint8)


def png(steps: np.ndarray) -> bytes:
  """A picture of `spectrogram`'s steps as a PNG file of sixteen colours."""
  from PIL import Image  # matplotlib brings it.

  image = Image.fromarray(steps, mode="L")
  image.putpalette(_palette())
  place = io.BytesIO()
  image.save(place, "PNG", bits=4, optimize=True)
  return place.getvalue()


@functools.cache
def _palette() -> list[int]:
  from matplotlib import colormaps

  colours = colormaps["magma"](np.linspace(0.0, 1.0, _COLOURS), bytes=True)
  return colours[:, :3].ravel().tolist()
