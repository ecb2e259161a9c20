"""Lets pipes be recordings: `-`, `/dev/stdin`, `<(…)`, FIFOs.

A pipe gives its bytes once and cannot be seeked in; a recording is read several
times, and written with sizes that are known at the end. So both sides go
through a temporary file.
"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from distortion_removal.audio.files.integrity import AudioFileError
from distortion_removal.common.errors import UserError, os_reason

_STDINS = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_STDOUTS = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_COPIED_BYTES = 1 << 20


class _Spool(NamedTuple):
  folder: Path
  files: dict[Path, Path]  # by the pipe whose bytes they hold


_spool: ContextVar[_Spool | None] = ContextVar("_spool", default=None)


@contextlib.contextmanager
def spooling() -> Iterator[None]:
  """Lets pipes be read like files within, and removes their bytes at the end.

  A pipe's bytes are copied when it is first opened.
  """
  with tempfile.TemporaryDirectory(prefix="distortion_removal-") as folder:
    token = _spool.set(_Spool(Path(folder), {}))
    try:
      yield
    finally:
      _spool.reset(token)


def seekable_file(path: Path) -> Path:
  """Returns the file that holds a recording: `path`, or a pipe's copy.

  Raises:
    AudioFileError: there is none.
  """
  spool = _spool.get()
  if spool and path in spool.files:
    return spool.files[path]
  try:
    is_stdin = str(path) == "-"
    mode = stat.S_IFIFO if is_stdin else path.stat().st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
      return _checked(path, mode)
    if spool is None:
      raise AudioFileError(path, "a pipe can be read only once; use a file")
    copy = spool.folder / str(len(spool.files))
    _copy_from(path, copy)
  except OSError as error:
    raise AudioFileError(path, os_reason(error).lower()) from None
  return spool.files.setdefault(path, copy)


def _checked(path: Path, mode: int) -> Path:
  if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
    raise AudioFileError(path, "is a device or a terminal, not a recording")
  with path.open("rb"):  # The system says why it cannot; libsndfile does not.
    return path


def _copy_from(path: Path, copy: Path) -> None:
  # A socket cannot be opened by its name.
  is_stdin = str(path) in _STDINS
  if is_stdin and os.isatty(0):
    raise AudioFileError(path, "is a terminal; pipe a recording into it")
  with open(0 if is_stdin else path, "rb", closefd=not is_stdin) as source:
    try:
      with copy.open("wb") as target:
        shutil.copyfileobj(source, target, _COPIED_BYTES)
    except OSError as error:
      reason = f"cannot be copied to {copy.parent}: {os_reason(error).lower()}"
      raise AudioFileError(path, reason) from None


@contextlib.contextmanager
def piped_output(target: Path) -> Iterator[Path]:
  """Yields the file to write for `target`: itself, unless that is a pipe.

  A pipe, or stdout as "-", gets the whole file at the end: a WAV unless its
  name has another suffix. What is printed until then goes to stderr.

  Raises:
    UserError: stdout is a terminal.
  """
  is_stdout = str(target) in _STDOUTS
  if not (is_stdout or _is_special(target)):
    yield target
    return
  if is_stdout and sys.stdout.isatty():
    raise UserError(
      f"-o {target}: stdout is a terminal; name a file, or pipe it"
    )
  stdout = sys.stdout
  with tempfile.TemporaryDirectory(prefix="distortion_removal-") as folder:
    name = "stdout" if is_stdout else target.name
    whole = Path(folder, name).with_suffix(target.suffix or ".wav")
    try:
      with contextlib.redirect_stdout(sys.stderr):
        yield whole
    except AudioFileError as error:
      if str(error).startswith(str(whole)):
        raise AudioFileError(target, error.reason) from None
      raise
    with (
      whole.open("rb") as source,
      contextlib.nullcontext(stdout.buffer)
      if is_stdout
      else target.open("wb") as sink,
    ):
      shutil.copyfileobj(source, sink, _COPIED_BYTES)
      sink.flush()


def _is_special(path: Path) -> bool:
  try:
    mode = path.stat().st_mode
  except OSError:
    return False
  return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)
