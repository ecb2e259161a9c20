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
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from distortion_removal.audio import files as audio_io
from distortion_removal.audio import resampling
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits
from distortion_removal.datasets.preparation.parts import Part
from distortion_removal.datasets.sources import builder

SILENCE_DBFS = -60.0  # RMS, on the recording's own scale
MIN_SECONDS = 1.0
_PIECE_BYTES = 64 << 10


@dataclasses.dataclass(eq=False)
class AudioFolderConfig(builder.TaskConfig):
  """Which recordings to prepare; not needed to read them afterwards.

  Attributes:
    path: the folder, searched recursively.
    include: a glob on file names (`input_*`), or on the end of their paths.
  """

  path: str = ""
  include: str = "*"


class AudioFolder(builder.CleanAudioBuilder):
  """Excerpts of the recordings in a folder, without the silent ones."""

  CONFIG = AudioFolderConfig
  NEEDS_RECORDINGS = True
  NEEDS_PATH = True
  BUILDER_CONFIGS = builder.task_configs(AudioFolderConfig)
  builder_config: AudioFolderConfig

  def root(self) -> Path:
    """The folder of recordings.

    Raises:
      UserError: there is none.
    """
    path = self.builder_config.path
    root = Path(path).expanduser().absolute()
    if not path or not root.is_dir():
      raise UserError(f"{path or '--path'}: not a folder of recordings")
    return root

  def recording_group(self, name: str) -> str:
    """The group of a recording that `splits.csv` gives none: itself."""
    return name

  def source(self) -> dict:
    """The folder, the pattern, and digests of what lies there.

    `files` is one of the files' names and sizes, `content` of what
    `content_digest` looks at, `splits` of `splits.csv`.
    """
    root = self.root()
    files, content = hashlib.sha256(), hashlib.sha256()
    for name in self._names:
      size = (root / name).stat().st_size
      files.update(os.fsencode(f"{name}\0{size}\n"))
      content.update(content_digest(root / name))
    pins = root / splits.CSV
    return {
      "path": str(root),
      "include": self.builder_config.include,
      "files": files.hexdigest(),
      "content": content.hexdigest(),
      "splits": hashlib.sha256(pins.read_bytes()).hexdigest()
      if pins.is_file()
      else None,
    }

  def parts(self) -> list[Part]:
    """One for each file, good or bad."""
    root = self.root()
    return [self._part(root, name) for name in self._names]

  def _part(self, root: Path, name: str) -> Part:
    path = root / name
    return Part(
      name,
      functools.partial(read, path, name, self.builder_config),
      version=f"{self.VERSION} {file_version(path)}",
      size=path.stat().st_size,
    )

  @functools.cached_property
  def _names(self) -> list[str]:
    return list_files(self.root(), self.builder_config.include)

  @functools.cached_property
  def _pins(self) -> splits.Pins:
    path = self.root() / splits.CSV
    return splits.read_pins(path, self._names, self.recording_group)

  def assign(self, names: Sequence[str]) -> dict[str, list[str]]:
    """Sorts usable files into splits, see `splits.assign`."""
    if not names:
      config = self.builder_config
      raise UserError(
        f"{self.root()}: none of {len(self._pins.groups)} files matching "
        f"{config.include!r} is usable audio"
      )
    return splits.assign(names, self._pins)

  def group(self, identity: str) -> str:
    """The group of an excerpt's recording."""
    return self._pins.groups[identity.rpartition("#")[0]]


def list_files(root: Path, include: str) -> list[str]:
  """The files below `root` that match `include`, as sorted relative paths.

  Hidden files and folders are passed over, and so is `splits.csv`.
  """
  names = [
    PurePosixPath(path.relative_to(root).as_posix())
    for path in root.rglob("*")
    if path.is_file()
  ]
  return sorted(
    str(name)
    for name in names
    if name.match(include)
    and str(name) != splits.CSV
    and not any(part.startswith(".") for part in name.parts)
  )


def file_version(path: Path) -> str:
  """What changes with a file: its size, its time, and what it holds.

  Parts of several folders may lie together, and times have whole seconds on
  some disks.
  """
  status = path.stat()
  content = content_digest(path).hex()
  return f"{status.st_size} {status.st_mtime_ns} {content}"


def content_digest(path: Path) -> bytes:
  """A digest of the first, the middle and the last 64 KiB of a file.

  It tells another take of the same length, or another header, without reading
  all of a long recording. When the file was written is left out: a copy is the
  same recording. A file that cannot be read has no content.
  """
  digest = hashlib.sha256()
  with contextlib.suppress(OSError), path.open("rb") as file:
    spare = max(0, file.seek(0, os.SEEK_END) - _PIECE_BYTES)
    for start in (0, spare // 2, spare):
      file.seek(start)
      digest.update(file.read(_PIECE_BYTES))
  return digest.digest()


def read(
  path: Path, name: str, config: builder.TaskConfig
) -> Iterator[dict | str]:
  """The examples of a recording, called `name#000`, `name#001` and so on.

  Yields:
    An example, or the `fate` of an excerpt that is left out.

  Raises:
    AudioFileError: it is not audio, damaged, too short, or silent throughout.
  """
  if path.suffix.lower() not in audio_io.FORMATS:
    raise audio_io.AudioFileError(
      path, f"not an audio format read here ({path.suffix or 'no suffix'})"
    )
  fates = set()
  for index, audio in enumerate(cut(path, config)):
    end = fate(audio, config.sample_rate)
    fates.add(end)
    if end == "kept":
      yield builder.to_example(f"{name}#{index:03d}", audio)
    else:
      yield end
  if "kept" not in fates:
    silent = f"silent: nowhere above {SILENCE_DBFS:g} dBFS RMS"
    short = f"shorter than {MIN_SECONDS:g} s"
    raise audio_io.AudioFileError(path, silent if "silent" in fates else short)


def fate(audio: np.ndarray, sample_rate: int) -> str:
  """What becomes of an excerpt `[time, channels]`: kept, silent or short."""
  if len(audio) < MIN_SECONDS * sample_rate:
    return "short"
  power = np.mean(np.square(audio, dtype=np.float64))
  return "kept" if power >= 10 ** (SILENCE_DBFS / 10) else "silent"


def cut(path: Path, config: builder.TaskConfig) -> Iterator[np.ndarray]:
  """Cuts a recording into consecutive excerpts of the wanted form.

  Yields:
    `[time, channels]` float32 on the recording's own scale; the last one may
    be shorter than the others.

  Raises:
    AudioFileError: it is not audio, or damaged.
  """
  with audio_io.open_reader(path) as reader:
    blocks = (remix(block, config.channels) for block in reader.blocks())
    pending = np.zeros((0, config.channels), np.float32)
    for piece in resampling.resample_blocks(
      blocks, reader.sample_rate, config.sample_rate
    ):
      pending = np.concatenate([pending, piece])
      while len(pending) >= config.excerpt_frames:
        yield pending[: config.excerpt_frames]
        pending = pending[config.excerpt_frames :]
    if len(pending):
      yield pending


def remix(audio: np.ndarray, channels: int) -> np.ndarray:
  """Brings `[time, any]` to 1 channel (the mean) or 2 (the first two)."""
  if channels == 1:
    return audio.mean(axis=1, keepdims=True)
  if audio.shape[1] == 1:
    return np.repeat(audio, 2, axis=1)
  return audio[:, :2]
