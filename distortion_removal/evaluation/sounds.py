"""The sounds of an evaluation: every level, every method, as they are.

Audio is the samples of the FLAC file times `scale`, which is above 1 where the
audio exceeds full scale: levels and loudness can be compared.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distortion_removal.audio import files
from distortion_removal.common.log import logger

CLEAN = "clean"  # the method of the target, which has no level
_MOST_CHANNELS = 8  # that FLAC holds


def write(
  folder: Path,
  index: int,
  method: str,
  audio: np.ndarray,
  levels: Sequence[float | None],
  sample_rate: int,
) -> list[dict]:
  """Writes one excerpt's sounds.

  Args:
    folder: where they go.
    index: of the excerpt.
    method: that made them.
    audio: `[levels, time, channels]`.
    levels: of degradation; (None,) for the target.
    sample_rate: in Hz.

  Returns:
    Of each sound that can be written: `method`, `level`, the `path` within
    `folder` and `scale`. What is not finite is told, and left out.
  """
  found = []
  suffix = ".flac" if audio.shape[2] <= _MOST_CHANNELS else ".wav"
  for level, sound in zip(levels, audio, strict=True):
    label = "" if level is None else f"_{level:g}"
    path = f"{index:03d}{label}_{method}{suffix}"
    if not np.isfinite(sound).all():
      logger.warning("%s is not written: not finite", folder / path)
      continue
    scale = max(1.0, float(np.abs(sound).max(initial=0.0)))
    files.write(folder / path, sound / scale, sample_rate, subtype="PCM_24")
    entry = {"method": method, "level": level, "path": path, "scale": scale}
    found.append(entry)
  return found


def read(folder: Path, entry: dict) -> np.ndarray:
  """The audio `[time, channels]` of an entry that `write` returned."""
  samples, _ = files.read(folder / entry["path"])
  return samples * np.float32(entry["scale"])
