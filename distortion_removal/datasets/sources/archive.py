"""Unpacks chosen files from a large .tgz in one pass."""

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress

_BLOCK_BYTES = 1 << 20


def unpack(
  archive: Path,
  folder: Path,
  place: Callable[[PurePosixPath], PurePosixPath | None],
) -> None:
  """Unpacks chosen members of a gzipped tar into a new folder.

  The folder appears once the archive was read to its end and gzip's checksum
  was right.

  Args:
    archive: the .tgz.
    folder: where they go; it must not exist.
    place: maps a member's name to its path below `folder`, or to None to leave
      it out.
  """
  # A fixed name, unlike that of `files.replacing`: a killed process leaves
  # gigabytes, which the next one removes.
  partial = folder.with_name(f"{folder.name}.partial")
  shutil.rmtree(partial, ignore_errors=True)
  partial.mkdir(parents=True)
  try:
    if not _extract(archive, partial, place):
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


def _extract(
  archive: Path,
  folder: Path,
  place: Callable[[PurePosixPath], PurePosixPath | None],
) -> int:
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
      target = place(PurePosixPath(safe.name))
      if target is not None and not safe.isdir():
        tar.extract(safe.replace(name=str(target)), folder, filter="data")
        count += 1
      shown.advance(file.tell() - done)
      done = file.tell()
    # tarfile stops before the end, where the checksum is.
    while stream.read(_BLOCK_BYTES):
      pass
  return count
