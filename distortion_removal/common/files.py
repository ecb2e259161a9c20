"""Writes files and folders whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
  """Yields a free path next to `path`, and moves what is made there to `path`.

  If that fails, what was at `path`, file or folder, is still there, and nothing
  else.
  """
  # Another process may be writing the same file.
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  try:
    yield partial
    _swap(partial, path)
  finally:
    _remove(partial)


def write_whole(path: Path, content: str | bytes) -> None:
  """Writes a small file whole or not at all; text is stored as UTF-8."""
  if isinstance(content, str):
    content = content.encode()
  with replacing(path) as partial:
    partial.write_bytes(content)


def _swap(new: Path, path: Path) -> None:
  if not path.is_dir():
    new.replace(path)
    return
  # No file system replaces a folder that holds something.
  old = path.with_name(f".{path.name}.{os.getpid()}.old")
  path.rename(old)
  try:
    new.rename(path)
  except OSError:
    old.rename(path)
    raise
  _remove(old)


def _remove(path: Path) -> None:
  if path.is_dir():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)
