"""Some files out of a large .tgz, in one pass, wholly or not at all."""

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from distortion_removal.common.errors import UserError
from distortion_removal.common.progress import Progress

_BLOCK_BYTES = 1 << 20


def unpack(
  archive: Path,
  folder: Path,
  place: Callable[[PurePosixPath], PurePosixPath | None],
) -> None:
  """Unpacks some members of a gzipped tar into a new folder.

  They go into a folder beside, which is renamed once the archive was read to
  its end and its checksum (CRC-32, RFC 1952) was right; a failure removes it.

  Args:
    archive: the .tgz.
    folder: where they go; it must not exist.
    place: from a member's name to where it goes below `folder`, or None for
      one that is left in the archive.

  Raises:
    UserError: the archive is truncated, altered or unsafe, holds nothing that
      is wanted, or is no archive at all.
    OSError: the disk is full, or the folder cannot be written.
  """
  partial = folder.with_name(f"{folder.name}.partial")
  # Left behind by a process that was killed.
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    try:
      count = _take(archive, partial, place)
    except EOFError:
      raise UserError(
        f"{archive}: truncated; delete it and get it again"
      ) from None
    except (gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
      raise UserError(
        f"{archive}: altered, or no .tgz ({error}); delete it and get it again"
      ) from None
    if not count:
      raise UserError(f"{archive}: holds none of the files looked for")
    partial.rename(folder)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _take(archive, folder, place) -> int:
  """Reads the archive to its end and counts the members that were written."""
  count = done = 0
  with (
    archive.open("rb") as file,
    gzip.GzipFile(fileobj=file) as stream,
    tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar,
    Progress(
      archive.stat().st_size, "unpacked %.0f %%", unit="B", is_shown=True
    ) as progress,
  ):
    for member in tar:
      name = PurePosixPath(member.name)
      if name.is_absolute() or ".." in name.parts:
        raise UserError(f"{archive}: altered: {member.name!r} leads outside")
      target = place(name)
      if target is not None and not member.isdir():
        _write(archive, tar, member, folder / target)
        count += 1
      progress.advance(file.tell() - done)
      done = file.tell()
    # tarfile stops before the end, where the checksum is.
    while stream.read(_BLOCK_BYTES):
      pass
  return count


def _write(archive, tar, member, path) -> None:
  if not member.isfile():
    raise UserError(f"{archive}: altered: {member.name!r} is no plain file")
  path.parent.mkdir(parents=True, exist_ok=True)
  with tar.extractfile(member) as source, path.open("wb") as target:
    shutil.copyfileobj(source, target, _BLOCK_BYTES)
