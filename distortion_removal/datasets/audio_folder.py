"""Any folder of recordings as a data set.

Splits: a file below a folder called `train`, `valid` (`val`, `validation`) or
`test`, in any case, belongs to that split, and every other file to `train`. A
split without such a folder takes a tenth of the training files, those whose
path hashes into its tenth, so a file keeps its split when others come or go.
Of very few files it takes at least one, the one with the highest hash, as long
as one remains to train on.

Channels: mono is the mean of all channels; stereo is the first two, or one
channel twice.

Each file is decoded twice, once to examine it to its end, since a damaged one
is left out as a whole, and once to store it. No more than an excerpt of it is
in memory at a time.
"""

import collections
import dataclasses
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from distortion_removal import audio_io, resampling
from distortion_removal.datasets import builder
from distortion_removal.errors import UserError

SILENCE_DBFS = -60.0  # RMS, on the recording's own scale
MIN_SECONDS = 1.0
_FOLDERS = {
  "train": "train",
  "valid": "valid",
  "val": "valid",
  "validation": "valid",
  "test": "test",
}
_HASH_RANGES = {"valid": (0.8, 0.9), "test": (0.9, 1.0)}


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
  BUILDER_CONFIGS = builder.task_configs(AudioFolderConfig)
  builder_config: AudioFolderConfig

  def source(self) -> dict:
    """The folder, the pattern, and a digest of the files' names and sizes."""
    config = self.builder_config
    root = _root(config.path)
    digest = hashlib.sha256()
    for name in list_files(root, config.include):
      size = (root / name).stat().st_size
      digest.update(os.fsencode(f"{name}\0{size}\n"))
    return {
      "path": str(root),
      "include": config.include,
      "files": digest.hexdigest(),
    }

  def excerpts(self) -> dict[str, Iterator[tuple[str, np.ndarray]]]:
    """The excerpts of every split, after a look at all files (`report`)."""
    config = self.builder_config
    root = _root(config.path)
    self.report = {"skipped": [], "silent_excerpts": 0, "short_remainders": 0}
    names = list_files(root, config.include)
    usable = [
      name
      for name in builder.track(names, "checking")
      if self._is_usable(root, name)
    ]
    if not usable:
      raise UserError(
        f"{root}: none of {len(names)} files matching {config.include!r} is "
        "usable audio"
      )
    return {
      split: self._split_excerpts(root, split, members)
      for split, members in assign_splits(usable).items()
    }

  def _is_usable(self, root: Path, name: str) -> bool:
    try:
      fates = examine(root / name, self.builder_config)
    except audio_io.AudioFileError as error:
      self.report["skipped"].append({"file": name, "reason": error.reason})
      tqdm.write(f"skipped {name}: {error.reason}", file=sys.stderr)
      return False
    self.report["silent_excerpts"] += fates["silent"]
    self.report["short_remainders"] += fates["short"]
    return True

  def _split_excerpts(
    self, root: Path, split: str, names: list[str]
  ) -> Iterator[tuple[str, np.ndarray]]:
    for name in builder.track(names, split):
      for index, audio in enumerate(cut(root / name, self.builder_config)):
        if fate(audio, self.builder_config.sample_rate) == "kept":
          yield f"{name}#{index:03d}", audio


def _root(path: str) -> Path:
  root = Path(path).expanduser().absolute()
  if not path or not root.is_dir():
    raise UserError(f"{path or '--path'}: not a folder of recordings")
  return root


def list_files(root: Path, include: str) -> list[str]:
  """The files below `root` that match `include`, as sorted relative paths.

  Hidden files and folders are passed over.
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
    and not any(part.startswith(".") for part in name.parts)
  )


def examine(path: Path, config: builder.TaskConfig) -> collections.Counter:
  """Decodes a file to its end and counts its excerpts by their `fate`.

  Raises:
    AudioFileError: it is not audio, damaged, too short, or silent throughout.
  """
  if path.suffix.lower() not in audio_io.FORMATS:
    raise audio_io.AudioFileError(
      path, f"not an audio format read here ({path.suffix or 'no suffix'})"
    )
  fates = collections.Counter(
    fate(audio, config.sample_rate) for audio in cut(path, config)
  )
  if not fates["kept"]:
    silent = f"silent: nowhere above {SILENCE_DBFS:g} dBFS RMS"
    short = f"shorter than {MIN_SECONDS:g} s"
    raise audio_io.AudioFileError(path, silent if fates["silent"] else short)
  return fates


def fate(audio: np.ndarray, sample_rate: int) -> str:
  """What becomes of an excerpt `[time, channels]`: kept, silent or short."""
  if len(audio) < MIN_SECONDS * sample_rate:
    return "short"
  power = np.mean(np.square(audio, dtype=np.float64))
  return "kept" if power >= 10 ** (SILENCE_DBFS / 10) else "silent"


def assign_splits(names: list[str]) -> dict[str, list[str]]:
  """Sorts files into `train`, `valid` and `test`, see the module's text.

  Args:
    names: relative paths.

  Returns:
    Split to its files, sorted; a split may be empty.
  """
  splits = {split: [] for split in builder.SPLITS}
  for name in names:
    splits[_folder_split(name) or "train"].append(name)
  pool = sorted(splits["train"], key=_hash_fraction)
  taken = {
    split: [name for name in pool if low <= _hash_fraction(name) < high]
    for split, (low, high) in _HASH_RANGES.items()
    if not splits[split]
  }
  moved = {name for members in taken.values() for name in members}
  train = [name for name in pool if name not in moved]
  if not train:
    train, taken = pool, {split: [] for split in taken}
  for split in taken:
    if not taken[split] and len(train) > 1:
      taken[split] = [train.pop()]
  splits |= taken | {"train": train}
  return {split: sorted(members) for split, members in splits.items()}


def _folder_split(name: str) -> str | None:
  folders = (part.lower() for part in PurePosixPath(name).parts[:-1])
  return next((_FOLDERS[f] for f in folders if f in _FOLDERS), None)


def _hash_fraction(name: str) -> float:
  """A number in [0, 1) that only depends on the path."""
  digest = hashlib.sha256(os.fsencode(name)).digest()
  return int.from_bytes(digest[:8], "big") / 2**64


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
