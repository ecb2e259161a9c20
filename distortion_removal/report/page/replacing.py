"""A folder that is written beside its place and renamed once complete."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from distortion_removal.common.errors import UserError


@contextlib.contextmanager
def replacing(
  folder: Path, *, is_ours: Callable[[Path], bool]
) -> Iterator[Path]:
  """An empty folder to write to, which takes the place of `folder` at the end.

  Where the writing fails, what was in `folder` is still there, and nothing
  else is.

  Args:
    folder: where it goes; folders above it are made.
    is_ours: whether a folder that is already there may be replaced; an empty
      one always may.

  Raises:
    UserError: there is something else in `folder`, or it holds the current
      folder, which would be renamed away from under the caller.
  """
  place = folder.resolve()  # "." has no name.
  if Path.cwd().is_relative_to(place):
    raise UserError(
      f"{folder} is the current folder or above it, and cannot be replaced; "
      f"give another one, such as {folder / 'report'}"
    )
  if folder.exists() and not folder.is_dir():
    raise UserError(f"{folder} is a file; give a folder")
  if folder.is_dir() and any(folder.iterdir()) and not is_ours(folder):
    raise UserError(
      f"{folder} holds other files, which would be lost; give an empty folder "
      "or a new one"
    )
  place.parent.mkdir(parents=True, exist_ok=True)
  # Names of their own: another process may be writing the same folder.
  partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
  old = place.with_name(f".{place.name}.{os.getpid()}.old")
  try:
    partial.mkdir()
    yield partial
    _swap(partial, place, old)
  finally:
    shutil.rmtree(partial, ignore_errors=True)
    if place.exists():
      shutil.rmtree(old, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
  if folder.exists():
    folder.rename(old)
  try:
    new.rename(folder)
  except OSError:
    if old.exists():
      old.rename(folder)
    raise
