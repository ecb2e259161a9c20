"""Any folder of recordings as a data set.

Splits: by folders called `train`, `valid` and `test`, by a `splits.csv`, and
otherwise by a hash of the path, see `splits.py`; each file is its own group.

Channels: mono is the mean of all channels; stereo is the first two, or one
channel twice.

Each file is decoded once, and left out as a whole if it turns out damaged. No
more than an excerpt of it is in memory at a time.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits
from distortion_removal.datasets.features import to_example
from distortion_removal.datasets.preparation.recordings import Recording
from distortion_removal.datasets.sources.builder import (
  CleanAudioBuilder,
  TaskConfig,
  task_configs,
)

SILENCE_DBFS = -60.0  # RMS, on the recording's own scale
MIN_SECONDS = 1.0
_PIECE_BYTES = 64 << 10


@dataclasses.dataclass(eq=False)
class AudioFolderConfig(TaskConfig):
  """Recordings to prepare; not needed to read them afterwards.

  Attributes:
    path: the folder, searched recursively.
    include: a glob on file names (`input_*`), or on the end of their paths.
  """

  path: str = ""
  include: str = "*"


class AudioFolder(CleanAudioBuilder):
  """Excerpts of the recordings in a folder, without the silent ones."""

  CONFIG = AudioFolderConfig
  NEEDS_RECORDINGS = True
  NEEDS_PATH = True
  BUILDER_CONFIGS = task_configs(AudioFolderConfig)
  builder_config: AudioFolderConfig

  @functools.cached_property
  def root(self) -> Path:
    """The folder of recordings; an error where there is none."""
    path = self.builder_config.path
    root = Path(path).expanduser().absolute()
    if not path or not root.is_dir():
      raise UserError(f"{path or '--path'}: not a folder of recordings")
    return root

  def recording_group(self, name: str) -> str:
    """Returns the group of a recording that `splits.csv` gives none."""
    return name

  def source(self) -> dict:
    """Returns the folder, the pattern, and digests of what lies there."""
    root = self.root
    sizes, content = hashlib.sha256(), hashlib.sha256()
    for name in self._names:
      size = (root / name).stat().st_size
      sizes.update(os.fsencode(f"{name}\0{size}\n"))
      content.update(content_digest(root / name))
    pins = root / splits.SPLITS_CSV
    return {
      "path": str(root),
      "include": self.builder_config.include,
      "files": sizes.hexdigest(),
      "content": content.hexdigest(),
      "splits": hashlib.sha256(pins.read_bytes()).hexdigest()
      if pins.is_file()
      else None,
    }

  def recordings(self) -> list[Recording]:
    """Lists all files, good or bad."""
    if not self._names:
      include = self.builder_config.include
      raise UserError(f"{self.root}: no file matches {include!r}")
    return [
      self.recording(name, _read_examples, [self.root / name])
      for name in self._names
    ]

  def recording(
    self, name: str, read: Callable, paths: Sequence[Path], *words: str
  ) -> Recording:
    """Makes a recording of files, which `words` tell from others of them."""
    group = self.pins.groups[name]
    versions = [file_version(path) for path in paths]
    return Recording(
      name,
      group,
      functools.partial(read, *paths, name, self.builder_config),
      version=" ".join([str(self.VERSION), *words, *versions]),
      size=sum(path.stat().st_size for path in paths),
      split=self.pins.sides.get(group),
    )

  @functools.cached_property
  def _names(self) -> list[str]:
    return list_files(self.root, self.builder_config.include)

  @functools.cached_property
  def pins(self) -> splits.Pins:
    """Groups, and splits of some of them, see `splits.py`."""
    path = self.root / splits.SPLITS_CSV
    return splits.read_pins(path, self._names, self.recording_group)


def list_files(root: Path, include: str) -> list[str]:
  """Lists the files below `root` that match, but for hidden ones and pins."""
  names = [
    PurePosixPath(path.relative_to(root).as_posix())
    for path in root.rglob("*")
    if path.is_file()
  ]
  return sorted(
    str(name)
    for name in names
    if name.match(include)
    and str(name) != splits.SPLITS_CSV
    and not any(part.startswith(".") for part in name.parts)
  )


def file_version(path: Path) -> str:
  """Returns what changes with a file: its size, its time, and its content."""
  # Times have whole seconds on some disks.
  status = path.stat()
  content = content_digest(path).hex()
  return f"{status.st_size} {status.st_mtime_ns} {content}"


def content_digest(path: Path) -> bytes:
  """Digests the first, the middle and the last 64 KiB of a file.

  It tells another take of the same length, or another header, without reading
  all of a long recording. A file that cannot be read has no content.
  """
  digest = hashlib.sha256()
  with contextlib.suppress(OSError), path.open("rb") as file:
    spare = max(0, file.seek(0, os.SEEK_END) - _PIECE_BYTES)
    for start in (0, spare // 2, spare):
      file.seek(start)
      digest.update(file.read(_PIECE_BYTES))
  return digest.digest()


def _read_examples(
  path: Path, name: str, config: TaskConfig
) -> Iterator[dict | str]:
  """Yields the examples of a recording, or why an excerpt is left out."""
  check_suffix(path)
  fates = set()
  for index, audio in enumerate(_cut(path, config)):
    end = fate(audio, config.sample_rate)
    fates.add(end)
    yield to_example(f"{name}#{index:03d}", audio) if end == "kept" else end
  if "kept" not in fates:
    silent = f"silent: nowhere above {SILENCE_DBFS:g} dBFS RMS"
    short = f"shorter than {MIN_SECONDS:g} s"
    raise files.AudioFileError(path, silent if "silent" in fates else short)


def check_suffix(path: Path) -> None:
  """Raises an error where a file's suffix is not that of audio."""
  if path.suffix.lower() not in files.SUFFIXES:
    raise files.AudioFileError(
      path, f"not an audio format read here ({path.suffix or 'no suffix'})"
    )


def check_finite(audio: np.ndarray, path: Path) -> np.ndarray:
  """Returns audio; an error where mixing or resampling made it overflow."""
  if not np.isfinite(audio).all():
    raise files.AudioFileError(
      path, "too loud: its samples overflow when they are resampled or mixed"
    )
  return audio


def fate(audio: np.ndarray, sample_rate: int) -> str:
  """Decides whether an excerpt `[time, channels]` is kept, silent or short."""
  if len(audio) < MIN_SECONDS * sample_rate:
    return "short"
  power = np.mean(np.square(audio, dtype=np.float64))
  return "kept" if power >= 10 ** (SILENCE_DBFS / 10) else "silent"


def _cut(path: Path, config: TaskConfig) -> Iterator[np.ndarray]:
  """Cuts a recording into excerpts `[time, channels]`; the last is the rest."""
  with files.open_reader(path) as reader:
    blocks = (remix(block, config.channels) for block in reader.blocks())
    pending = np.zeros((0, config.channels), np.float32)
    for piece in resample_blocks(
      blocks, reader.sample_rate, config.sample_rate
    ):
      pending = np.concatenate([pending, check_finite(piece, path)])
      while len(pending) >= config.excerpt_frames:
        yield pending[: config.excerpt_frames]
        pending = pending[config.excerpt_frames :]
    if len(pending):
      yield pending


def remix(audio: np.ndarray, channels: int) -> np.ndarray:
  """Brings `[time, any]` to 1 channel (the mean) or 2 (the first two)."""
  if channels == 1:
    with np.errstate(over="ignore"):  # `check_finite` tells which file it is.
      return audio.mean(axis=1, keepdims=True)
  if audio.shape[1] == 1:
    return np.repeat(audio, 2, axis=1)
  return audio[:, :2]
