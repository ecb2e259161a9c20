"""Stored scores, the only record of what an evaluation has done.

    evaluation/parts/TASK/METHOD/000003.npz        one excerpt's scores
    evaluation/parts/TASK/METHOD/003_35_METHOD.flac  one of its sounds

They stay when the results are written, which are derived from them alone. A
file counts if its fingerprint is that of the method, which covers all that
scores depend on, and of the excerpt. It is written whole, after its sounds.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distortion_removal.audio import files
from distortion_removal.common.files import write_whole
from distortion_removal.common.log import logger
from distortion_removal.evaluation.excerpts import Excerpt

# By metric of sets, `[windows, dimension]` at every level.
Embeddings = Mapping[str, Sequence[np.ndarray]]

_FLAC_CHANNELS = 8  # the most that FLAC holds
# Raised on reading a file that is missing, cut off, or not one of ours.
_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile)


class StoredScores(NamedTuple):
  """One excerpt's scores by one method.

  Attributes:
    rows: a row of results.jsonl for each level; none for the target.
    embeddings: the windows that metrics of sets compare.
    sounds: entries of sounds.json, their `path` within the store's folder.
    error: one line if anything failed, which is then tried again, or None.
  """

  rows: list[dict]
  embeddings: Embeddings
  sounds: list[dict]
  error: str | None


class ScoreStore:
  """The scores of one method, a file for each excerpt, in `folder / method`.

  The fingerprint is a digest of all that the scores depend on.
  """

  def __init__(self, folder: Path, method: str, fingerprint: str):
    self.folder = folder / method
    self.fingerprint = fingerprint
    self._method = method

  def load(self, excerpt: Excerpt) -> StoredScores | None:
    """Reads the scores of an excerpt; None if there are no valid ones."""
    try:
      # NumPy would leave a damaged file open.
      with self._path(excerpt).open("rb") as file, np.load(file) as arrays:
        header = json.loads(bytes(arrays["header"]))
        if header.pop("fingerprint") != self._fingerprint_of(excerpt):
          return None
        embeddings = {
          name: np.split(arrays[name], np.cumsum(windows)[:-1])
          for name, windows in header.pop("windows").items()
        }
    except _UNREADABLE:
      return None
    return StoredScores(embeddings=embeddings, **header)

  def is_scored(self, excerpt: Excerpt) -> bool:
    """Checks whether an excerpt has valid scores and nothing in them failed."""
    scores = self.load(excerpt)
    return scores is not None and not scores.error

  def save(self, excerpt: Excerpt, scores: StoredScores) -> None:
    """Writes the scores of an excerpt, whole or not at all."""
    header = scores._asdict() | {
      "fingerprint": self._fingerprint_of(excerpt),
      "windows": {k: list(map(len, v)) for k, v in scores.embeddings.items()},
    }
    del header["embeddings"]
    buffer = io.BytesIO()
    np.savez(
      buffer,
      header=np.frombuffer(json.dumps(header).encode(), np.uint8),
      **{k: np.concatenate(v) for k, v in scores.embeddings.items()},
    )
    self.folder.mkdir(parents=True, exist_ok=True)
    write_whole(self._path(excerpt), buffer.getvalue())

  def write_sounds(
    self,
    excerpt: Excerpt,
    audio: np.ndarray,
    levels: Sequence[float | None],
    sample_rate: int,
  ) -> list[dict]:
    """Writes an excerpt's sounds at every level, which ends its old scores.

    Args:
      excerpt: the excerpt.
      audio: `[levels, time, channels]`, of any amplitude.
      levels: the levels of degradation; (None,) for the target.
      sample_rate: in Hz.

    Returns:
      The `method`, `level`, `path` in the folder and `scale` of each sound. The
      file's samples times `scale`, which is above 1 where audio exceeds full
      scale, are the audio. What is not finite is left out, with a warning.
    """
    self.folder.mkdir(parents=True, exist_ok=True)
    self._path(excerpt).unlink(missing_ok=True)
    entries = []
    suffix = ".flac" if audio.shape[2] <= _FLAC_CHANNELS else ".wav"
    for level, sound in zip(levels, audio, strict=True):
      label = "" if level is None else f"_{level:g}"
      path = f"{excerpt.index:03d}{label}_{self._method}{suffix}"
      if not np.isfinite(sound).all():
        logger.warning("%s is not written: not finite", self.folder / path)
        continue
      scale = max(1.0, float(np.abs(sound).max(initial=0.0)))
      files.write(
        self.folder / path, sound / scale, sample_rate, subtype="PCM_24"
      )
      entry = {"method": self._method, "level": level}
      entries.append(entry | {"path": path, "scale": scale})
    return entries

  def _path(self, excerpt: Excerpt) -> Path:
    return self.folder / f"{excerpt.index:06d}.npz"

  def _fingerprint_of(self, excerpt: Excerpt) -> str:
    return digest([self.fingerprint, excerpt.index, excerpt.digest])


def read_sound(folder: Path, entry: Mapping) -> np.ndarray:
  """Reads the audio `[time, channels]` of an entry that lies in `folder`."""
  samples, _ = files.read(folder / entry["path"])
  return samples * np.float32(entry["scale"])


def digest(content: object) -> str:
  """Computes a digest of anything that JSON can hold."""
  text = json.dumps(content, sort_keys=True, default=str)
  return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
