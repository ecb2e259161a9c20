"""The SignalTrain LA2A data set: its clean recordings and published splits.

Hawley, Colburn and Mimilakis, "SignalTrain: Profiling Audio Compressors with
Deep Neural Networks", AES 147, 2019 (arXiv 1905.11928); Zenodo record 3824876,
version 1.1, CC BY 4.0. One archive of about 20 GB holds the folders `Train`,
`Val` and `Test` of 44.1 kHz mono WAV files: `input_NNN_.wav` is music or test
sounds, and `target_NNN_….wav` the same through a compressor, which nothing
here uses.

Zenodo is asked for the archive's size and MD5 before it is downloaded. An
archive or a folder that is given is used without any network; what tells a
truncated or altered archive is then the checksum that gzip stores in it.
"""

import dataclasses
import functools
import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from distortion_removal.common import download
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.datasets.sources.audio_folder import (
  AudioFolder,
  AudioFolderConfig,
)
from distortion_removal.datasets.sources.builder import task_configs
from distortion_removal.effects.tasks import TASKS, Task

RECORD = "https://zenodo.org/records/3824876"
RECORD_API = "https://zenodo.org/api/records/3824876"
NAME = "SignalTrain_LA2A_Dataset_1.1"
ARCHIVE = f"{NAME}.tgz"
URL = f"{RECORD}/files/{ARCHIVE}"
INCLUDE = "input_*.wav"
_FOLDERS = ("Train", "Val", "Test")
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(eq=False)
class SignalTrainConfig(AudioFolderConfig):
  """The place that the data set is taken from.

  `path` is the unpacked folder, or the archive; '' downloads it into
  `downloads` below the folder of all data sets, unless it lies there.
  """

  task: Task = TASKS["hard_clip_sdr"]
  include: str = INCLUDE
  offline: bool = False

  def __post_init__(self):
    super().__post_init__()
    if self.include != INCLUDE:
      raise UserError(
        f"signaltrain: include {self.include!r}: only its {INCLUDE} are clean; "
        "leave it out"
      )


class SignalTrain(AudioFolder):
  """Excerpts of the clean recordings of the SignalTrain LA2A data set."""

  name = "signaltrain"
  NEEDS_PATH = False
  CONFIG = SignalTrainConfig
  BUILDER_CONFIGS = task_configs(SignalTrainConfig)
  builder_config: SignalTrainConfig

  def source(self) -> dict:
    """Returns the published record: the same wherever a copy of it lies.

    Of a folder that is given also what lies there, for it may be half a copy.
    """
    published = {"record": RECORD, "archive": ARCHIVE, "include": INCLUDE}
    path = self.builder_config.path
    if not path or _find_unpacked(Path(path).expanduser()) is None:
      return published
    found = super().source()
    return published | {key: found[key] for key in ("files", "content")}

  @functools.cached_property
  def root(self) -> Path:
    """The folder of recordings, downloaded and unpacked if need be."""
    config = self.builder_config
    downloads = Path(self.data_dir_root).absolute() / "downloads" / self.name
    path = Path(config.path).expanduser().absolute()
    given = path if config.path else downloads
    if unpacked := _find_unpacked(given):
      return _check_layout(unpacked)
    packed = given if given.is_file() else given / ARCHIVE
    if config.path and not packed.is_file():
      raise UserError(
        f"{config.path}: neither {ARCHIVE} nor a folder with "
        f"{', '.join(_FOLDERS)}; get {URL}"
      )
    unpacked = downloads / NAME
    # What was unpacked before is taken as it is.
    if not unpacked.is_dir():
      if not packed.is_file():
        _download(packed, offline=config.offline)
      unpack(packed, unpacked)
    return _check_layout(unpacked)


def _find_unpacked(given: Path) -> Path | None:
  """Finds the folder of the splits: the given one, or one in it."""
  for folder in (given, given / NAME):
    if any((folder / split).is_dir() for split in _FOLDERS):
      return folder
  return None


def _download(packed: Path, *, offline: bool) -> None:
  """Downloads the archive; its size and MD5 are what Zenodo says they are."""
  by_hand = (
    f"get {URL} (its MD5 stands at {RECORD}) and put it into {packed.parent}"
  )
  if offline:
    raise UserError(f"{packed}: not there, and offline; {by_hand}")
  try:
    record = download.read_json(RECORD_API)
  except UserError as error:
    raise UserError(f"{error}, or {by_hand}") from None
  files = {file.get("key"): file for file in record.get("files", ())}
  checksum = files.get(ARCHIVE, {}).get("checksum", "")
  if not checksum.startswith("md5:"):
    raise UserError(f"{RECORD_API}: tells no MD5 of {ARCHIVE}; {by_hand}")
  size = files[ARCHIVE]["size"]
  # What is unpacked, half of what the archive holds, is smaller than it.
  download.download(URL, packed, checksum, size=size, spare=size)


def unpack(archive: Path, folder: Path) -> None:
  """Unpacks the clean recordings of the .tgz into a new folder, in one pass.

  The folder appears once the archive was read to its end and gzip's checksum
  was right.
  """
  # A fixed name, unlike that of `files.replacing`: a killed process leaves
  # gigabytes, which the next one removes.
  partial = folder.with_name(f"{folder.name}.partial")
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    if not _extract(archive, partial):
      raise UserError(f"{archive}: holds none of the files looked for")
    partial.rename(folder)
  except EOFError:
    raise UserError(
      f"{archive}: truncated; delete it and get it again"
    ) from None
  except (gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
    raise UserError(
      f"{archive}: altered, or no .tgz ({error}); delete it and get it again"
    ) from None
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> int:
  """Reads the archive to its end, and counts the members it extracts."""
  count = done = 0
  size = archive.stat().st_size
  with (
    archive.open("rb") as file,
    gzip.GzipFile(fileobj=file) as stream,
    tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar,
    Progress(size, "unpacked %.0f %%", unit="B", is_shown=True) as shown,
  ):
    for member in tar:
      # Refuses devices, and links and paths that lead outside.
      safe = tarfile.data_filter(member, str(folder))
      target = _place(PurePosixPath(safe.name))
      if target is not None and not safe.isdir():
        tar.extract(safe.replace(name=str(target)), folder, filter="data")
        count += 1
      shown.advance(file.tell() - done)
      done = file.tell()
    # tarfile stops before the end, where the checksum is.
    while stream.read(_BLOCK_BYTES):
      pass
  return count


def _place(name: PurePosixPath) -> PurePosixPath | None:
  """Places a member of the archive; None for all but clean recordings."""
  place = PurePosixPath(*name.parts[-2:])
  is_clean = place.parent.name in _FOLDERS and place.match(INCLUDE)
  return place if is_clean else None


def _check_layout(folder: Path) -> Path:
  """Returns the folder, if each of its splits has recordings."""
  for split in _FOLDERS:
    if not any((folder / split).glob(INCLUDE)):
      raise UserError(
        f"{folder}: no {INCLUDE} in {split}; unpack {ARCHIVE} of {RECORD} again"
      )
  return folder
