"""The sounds of the page: a stretch of an excerpt, equally loud, small."""

import io
from dataclasses import dataclass
from pathlib import Path

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
# What lies this far below an excerpt's loudest frame counts as silence.
_FLOOR_DB = 60.0


@dataclass(frozen=True)
class Clip:
  """What one player of the page plays.

  Attributes:
    audio: `[time, channels]` float32, within ±0.99.
    sample_rate: in Hz, the data's own.
    quiet_lufs: its loudness if its peak kept it quieter than asked, else None.
  """

  audio: np.ndarray
  sample_rate: int
  quiet_lufs: float | None


def read(sound: Sound) -> tuple[np.ndarray, int]:
  """One sound as it was evaluated, `[time, channels]` float32, and its rate.

  Raises:
    AudioFileError: the file is missing or damaged.
  """
  audio, sample_rate = files.read(sound.path)
  return audio * np.float32(sound.scale), sample_rate


def length_seconds(sound: Sound) -> float:
  """How long a whole sound is; errors as `read`."""
  reader = files.info(sound.path)
  return reader.frames / reader.sample_rate


def liveliest_start(
  audio: np.ndarray, *, sample_rate: int, seconds: float
) -> float:
  """Where the most active stretch of an excerpt begins.

  It is the one with the greatest mean level in dB, so that a stretch of steady
  playing wins over one loud note amid silence; the first of several.

  Args:
    audio: `[time, channels]`.
    sample_rate: in Hz.
    seconds: length of the stretch.

  Returns:
    Seconds from the start; 0 where the excerpt is not longer.
  """
  hop = round(_FRAME_SECONDS * sample_rate)
  frames = len(audio) // hop
  wanted = round(seconds / _FRAME_SECONDS)
  if frames <= wanted:
    return 0.0
  power = np.square(audio[: frames * hop].astype(np.float64))
  power = power.reshape(frames, -1).mean(axis=1)
  floor = power.max() * 10.0 ** (-_FLOOR_DB / 10.0) + 1e-20
  level_db = 10.0 * np.log10(np.maximum(power, floor))
  sums = np.concatenate([[0.0], np.cumsum(level_db)])
  sums = sums[wanted:] - sums[:-wanted]
  # The first among equals, which rounding would hide.
  best = int(np.argmax(sums >= sums.max() - 1e-6))
  return best * hop / sample_rate


def stretch(
  length: int, *, sample_rate: int, start_seconds: float, seconds: float
) -> slice:
  """The samples of a stretch, a little fewer where that makes it seekable.

  Args:
    length: of the whole excerpt, in samples.
    sample_rate: in Hz.
    start_seconds: where the stretch begins.
    seconds: its length; it ends with the excerpt at the latest.
  """
  start = min(round(start_seconds * sample_rate), length)
  wanted = min(round(seconds * sample_rate), length - start)
  return slice(start, start + seekable_length(wanted))


def clip(
  audio: np.ndarray, part: slice, *, sample_rate: int, loudness_lufs: float
) -> Clip:
  """Cuts a stretch out, with short fades where it is cut, and normalises it.

  Args:
    audio: `[time, channels]`.
    part: the stretch, as `stretch` gives it.
    sample_rate: in Hz.
    loudness_lufs: wanted loudness; the peak may keep the clip quieter.
  """
  cut = audio[part].astype(np.float32)
  fade = min(round(_FADE_SECONDS * sample_rate), len(cut))
  ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)[:, None]
  if part.start > 0:
    cut[:fade] *= ramp
  if part.stop < len(audio):
    cut[len(cut) - fade :] *= ramp[::-1]
  scaled, is_limited = normalise_loudness(
    cut, sample_rate=sample_rate, loudness_lufs=loudness_lufs
  )
  quiet_lufs = None
  if is_limited:
    quiet_lufs = integrated_loudness(scaled, sample_rate=sample_rate)
  return Clip(scaled, sample_rate, quiet_lufs)


def flac(clip: Clip) -> bytes:
  """The clip as a FLAC file of 16 bits in which browsers can seek."""
  return with_seek_table(_encoded(clip, "FLAC"))


def wav(clip: Clip) -> bytes:
  """The clip as a WAV file of 16 bits."""
  return _encoded(clip, "WAV")


def _encoded(clip: Clip, file_format: str) -> bytes:
  place = io.BytesIO()
  soundfile.write(
    place, clip.audio, clip.sample_rate, "PCM_16", format=file_format
  )
  return place.getvalue()


def write(stem: Path, clip: Clip, *, with_wav: bool) -> None:
  """Writes STEM.flac and, if wanted, STEM.wav."""
  stem.with_suffix(".flac").write_bytes(flac(clip))
  if with_wav:
    stem.with_suffix(".wav").write_bytes(wav(clip))
