"""Small files, written whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
  """Writes a file beside its place and renames it once it is complete.

  Args:
    path: where it goes; what lies there is replaced at once.
    content: text is stored as UTF-8.

  Raises:
    OSError: the disk is full, or the folder cannot be written.
  """
  if isinstance(content, str):
    content = content.encode()
  # A name of its own: another process may be writing the same file.
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  try:
    partial.write_bytes(content)
    partial.replace(path)
  finally:
    partial.unlink(missing_ok=True)
