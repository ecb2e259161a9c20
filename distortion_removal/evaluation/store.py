"""What is scored so far: a file for a few excerpts by one method.

    parts/METHOD/FIRST.json   rows, and where the sounds lie
    parts/METHOD/FIRST.npz    what metrics of sets need, if there are some

A part counts if what made it is what would make it now: its fingerprint is
that of the method, all that its scores depend on, and the excerpts. It is
written whole, its JSON file last.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distortion_removal.common.files import write_whole
from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.scores import Embeddings

# What reading raises where there is no file, half of one or another's.
_NO_PART = (
  OSError,
  EOFError,
  KeyError,
  TypeError,
  ValueError,
  zipfile.BadZipFile,
)


class Part(NamedTuple):
  """Some excerpts by one method.

  Attributes:
    entries: of every excerpt `rows`, one a level, `sounds` as of
      `sounds.write`, and `error`, None if all went well.
    embeddings: likewise.
  """

  entries: list[dict]
  embeddings: list[Embeddings]

  @property
  def failed(self) -> bool:
    """Whether something went wrong with one of the excerpts."""
    return any(entry["error"] for entry in self.entries)


def fingerprint(method: str, excerpts: Sequence[Excerpt]) -> str:
  """What tells the scores of excerpts by a method from all others.

  Args:
    method: its own fingerprint.
    excerpts: in their order.
  """
  text = json.dumps([method, *([x.index, x.digest] for x in excerpts)])
  return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Store:
  """The parts of one method.

  Args:
    folder: where they lie; it is made.
    method: the method's fingerprint.
  """

  def __init__(self, folder: Path, method: str):
    self.folder = folder
    self._method = method
    folder.mkdir(parents=True, exist_ok=True)

  def load(self, excerpts: Sequence[Excerpt]) -> Part | None:
    """The part of these excerpts; None if it is not there, or another's."""
    path = self._path(excerpts)
    try:
      content = json.loads(path.read_text())
      if content["fingerprint"] != fingerprint(self._method, excerpts):
        return None
      counts, embeddings = content["windows"], [{} for _ in excerpts]
      if counts:
        with np.load(path.with_suffix(".npz")) as arrays:
          for name in counts:
            _deal(embeddings, name, counts[name], arrays[name])
    except _NO_PART:
      return None
    return Part(content["entries"], embeddings)

  def save(self, excerpts: Sequence[Excerpt], part: Part) -> None:
    """Writes a part.

    Raises:
      OSError: the disk is full, or the folder cannot be written.
    """
    path, counts, arrays = self._path(excerpts), {}, {}
    for name in dict.fromkeys(k for found in part.embeddings for k in found):
      of_excerpts = [found.get(name, ()) for found in part.embeddings]
      counts[name] = [[len(x) for x in levels] for levels in of_excerpts]
      every = [x for levels in of_excerpts for x in levels]
      arrays[name] = np.concatenate(every)
    if arrays:
      buffer = io.BytesIO()
      np.savez(buffer, **arrays)
      write_whole(path.with_suffix(".npz"), buffer.getvalue())
    content = {
      "fingerprint": fingerprint(self._method, excerpts),
      "entries": part.entries,
      "windows": counts,
    }
    write_whole(path, json.dumps(content))

  def _path(self, excerpts: Sequence[Excerpt]) -> Path:
    return self.folder / f"{excerpts[0].index:06d}.json"


def _deal(
  embeddings: list[dict],
  name: str,
  counts: Sequence[Sequence[int]],
  windows: np.ndarray,
) -> None:
  """Gives each excerpt its embeddings at each level."""
  start = 0
  for found, levels in zip(embeddings, counts, strict=True):
    if levels:
      found[name] = np.split(windows[start:], np.cumsum(levels))[:-1]
    start += sum(levels)
