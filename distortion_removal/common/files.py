"""Writes files and folders whole or not at all, and shows their names.

A file's name is any bytes. Python keeps those that are not text in the locale's
encoding as surrogates, which no stream and no UTF-8 file takes.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

# Cc but for the surrogates' place, and Unicode's own line ends.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def as_text(name: str | bytes | os.PathLike) -> str:
  """Returns a name, or text that holds one, as text that UTF-8 can hold.

  Bytes that are not UTF-8 are written as in Python (`caf\\xe9.wav`). Those that
  are become letters in any locale.
  """
  name = os.fspath(name)
  if isinstance(name, str):
    try:
      name = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
      # Half a character, as names on Windows may hold.
      name = name.encode("utf-8", "backslashreplace")
  return name.decode("utf-8", "backslashreplace")


def one_line(text: str | bytes | os.PathLike) -> str:
  """Returns `as_text` with line ends and control characters escaped.

  In a name they would forge a line of ours, or command the terminal.
  """
  return _CONTROL.sub(
    lambda found: found[0].encode("unicode_escape").decode(), as_text(text)
  )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
  """Yields a free path next to `path`, and moves what is made there to `path`.

  If that fails, what was at `path`, file or folder, is still there, and nothing
  else.
  """
  partial = _beside(path, "partial")
  try:
    yield partial
    _swap(partial, path)
  finally:
    _remove(partial)


def write_whole(path: Path, content: str | bytes) -> None:
  """Writes a small file whole or not at all; text is stored as UTF-8."""
  if isinstance(content, str):
    content = as_text(content).encode()
  with replacing(path) as partial:
    partial.write_bytes(content)


def _beside(path: Path, kind: str) -> Path:
  """Returns a hidden path next to `path` that no one else writes to."""
  # The name may be as long as a file system allows: 255 bytes, 143 on some.
  return path.with_name(f".{path.name[:20]}.{secrets.token_hex(4)}.{kind}")


def _swap(new: Path, path: Path) -> None:
  if not path.is_dir():
    new.replace(path)
    return
  # No file system replaces a folder that holds something.
  old = _beside(path, "old")
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
