"""The sounds of the page: a stretch of an excerpt, equally loud, small."""

import io

import numpy as np
import soundfile

from distortion_removal.audio import files
from distortion_removal.audio.loudness import (
  integrated_loudness,
  normalise_loudness,
)
from distortion_removal.report.page.seek_table import (
  seekable_length,
  with_seek_table,
)
from distortion_removal.report.results import Sound

_FADE_SECONDS = 0.02
_FRAME_SECONDS = 0.05
# Frames this far below an excerpt's loudest one count as silence.
_FLOOR_DB = 60.0


def read(sound: Sound) -> tuple[np.ndarray, int]:
  """Reads a sound as it was evaluated, `[time, channels]`, and its rate."""
  audio, sample_rate = files.read(sound.path)
  return audio * np.float32(sound.scale), sample_rate


def describe(sound: Sound) -> tuple[float, int]:
  """Returns a sound's seconds, and the bytes of a second as 16-bit PCM."""
  found = files.info(sound.path)
  bytes_per_second = 2 * found.sample_rate * found.channels
  return found.frames / found.sample_rate, bytes_per_second


def liveliest(audio: np.ndarray, sample_rate: int, seconds: float) -> slice:
  """Finds the most active stretch of `[time, channels]` audio, in samples.

  It is the one with the greatest mean level in dB, so that a stretch of steady
  playing wins over one loud note amid silence; the first of several. It is a
  little shorter than asked where that makes it seekable.
  """
  hop_samples = round(_FRAME_SECONDS * sample_rate)
  frames, wanted = len(audio) // hop_samples, round(seconds / _FRAME_SECONDS)
  start = 0
  if frames > wanted:
    power = np.square(audio[: frames * hop_samples].astype(np.float64))
    power = power.reshape(frames, -1).mean(axis=1)
    floor = power.max() * 10.0 ** (-_FLOOR_DB / 10.0) + 1e-20
    level_db = 10.0 * np.log10(np.maximum(power, floor))
    sums = np.concatenate([[0.0], np.cumsum(level_db)])
    sums = sums[wanted:] - sums[:-wanted]
    # The first among equals, which rounding would hide.
    start = int(np.argmax(sums >= sums.max() - 1e-6)) * hop_samples
  length = min(round(seconds * sample_rate), len(audio) - start)
  return slice(start, start + seekable_length(length))


def cut(
  audio: np.ndarray, stretch: slice, *, sample_rate: int, loudness_lufs: float
) -> tuple[np.ndarray, float | None]:
  """Cuts a stretch of `[time, channels]` out, fades and normalises it.

  Returns:
    `[time, channels]` float32 within ±0.99, and its loudness if its peak kept
    it quieter than asked, else None.
  """
  part = audio[stretch].astype(np.float32)
  fade_samples = min(round(_FADE_SECONDS * sample_rate), len(part))
  ramp = np.linspace(0.0, 1.0, fade_samples, dtype=np.float32)[:, None]
  if stretch.start > 0:
    part[:fade_samples] *= ramp
  if stretch.stop < len(audio):
    part[len(part) - fade_samples :] *= ramp[::-1]
  scaled, is_limited = normalise_loudness(
    part, sample_rate=sample_rate, loudness_lufs=loudness_lufs
  )
  if not is_limited:
    return scaled, None
  return scaled, integrated_loudness(scaled, sample_rate=sample_rate)


def flac(audio: np.ndarray, sample_rate: int) -> bytes:
  """Encodes a FLAC file of 16 bits in which browsers can seek."""
  place = io.BytesIO()
  codes = files.quantise(audio, "PCM_16")
  soundfile.write(place, codes, sample_rate, "PCM_16", format="FLAC")
  return with_seek_table(place.getvalue())
