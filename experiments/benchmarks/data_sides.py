"""The peers of `data.py`, and the recordings that both sides read."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from distortion_removal.audio import files

FILE_SECONDS = 60
_RATE = 44_100


def write_recordings(folder: Path, minutes: float, suffix: str) -> None:
  """Writes plucked chords with a little noise, in files of a minute."""
  folder.mkdir()
  time_s = np.arange(FILE_SECONDS * _RATE) / _RATE
  decay = np.exp(-3.0 * (time_s % 1.0))
  for i in range(max(3, round(minutes * 60 / FILE_SECONDS))):
    rng = np.random.default_rng(i)
    pitches_hz = 110.0 * 2 ** (rng.integers(24, size=4) / 12)
    chord = sum(
      np.sin(2 * np.pi * k * pitch_hz * time_s) / k
      for pitch_hz in pitches_hz
      for k in range(1, 5)
    )
    audio = 0.05 * decay * chord + 1e-3 * rng.standard_normal(len(time_s))
    soundfile.write(folder / f"{i:03d}.{suffix}", audio[:, None], _RATE)


def decode(recordings: Path) -> None:
  """Decodes all files to nothing: with `ffmpeg`, else with libsndfile."""
  program = shutil.which("ffmpeg")
  for path in sorted(recordings.iterdir()):
    if program:
      command = [program, "-v", "error", "-threads", "1", "-i", path]
      subprocess.run([*command, "-f", "null", "-"], check=True)
      continue
    with files.open_reader(path) as reader:
      for _ in reader.blocks():
        pass


def overdrive_loop(audio: np.ndarray, gain_db: float) -> np.ndarray:
  """Applies SoX's overdrive to `[batch, time]`, item by item."""
  degraded = []
  for item in audio:
    driven = np.clip(10 ** (gain_db / 20) * item, -1, 1)
    shaped = driven - driven**3 / 3
    blocked = scipy.signal.lfilter([1, -1], [1, -0.995], shaped)
    degraded.append(0.5 * item + 0.75 * blocked)
  return np.stack(degraded)


def hard_clip_loop(audio: np.ndarray, gain_db: float) -> np.ndarray:
  """Clips `[batch, time]` hard, item by item."""
  return np.stack(
    [np.clip(10 ** (gain_db / 20) * item, -1, 1) for item in audio]
  )


LOOPS = {"overdrive": overdrive_loop, "hard_clip": hard_clip_loop}
