"""Mistakes of the user: one exception, shown in one line."""

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeVar

from absl import flags

from distortion_removal.common import log
from distortion_removal.common.files import as_text, one_line

T = TypeVar("T")


class UserError(Exception):
  """One line on what the user can mend: what is wrong, where, what to do."""


def look_up(table: Mapping[str, T], kind: str, name: str) -> T:
  """Returns `table[name]`; the UserError for another name lists all names."""
  if name not in table:
    known = ", ".join(sorted(table))
    raise UserError(f"unknown {kind} {name!r}; choose one of: {known}")
  return table[name]


def check_is_utf8(folder: str | os.PathLike) -> None:
  """Raises UserError for a folder whose name libraries in C++ cannot take."""
  try:
    os.fspath(folder).encode()
  except UnicodeEncodeError:
    raise UserError(
      f"{folder}: checkpoints and data sets need a folder whose name is UTF-8; "
      "rename it or choose another; if it is UTF-8, set LC_ALL=C.UTF-8"
    ) from None


class OneLineParser(argparse.ArgumentParser):
  """Reports a mistake on the command line in one line, without the usage."""

  def error(self, message: str) -> NoReturn:
    """Raises UserError; the message names the option."""
    raise UserError(f"{message}; see {self.prog} --help")


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
  """Turns what a user can mend into one line on stderr and exit status 1.

  Any error but those of `mendable` is our defect and keeps its traceback.
  Nothing is said where whoever reads our output closes the pipe, as `head`
  does. Every command runs within this, so that its streams take any file's
  name, see `log.streams`.
  """
  try:
    with log.streams():
      yield
  except KeyboardInterrupt:
    _exit("interrupted")
  except BrokenPipeError:  # a pipe that gets the sound itself
    sys.exit(1)
  except Exception as error:
    message = mendable(error)
    if message is None:
      raise
    _exit(message)


def mendable(error: Exception) -> str | None:
  """Returns what the user can mend: a `UserError`, or a refusal by the system.

  None for any other error.
  """
  if isinstance(error, UserError):
    return str(error)
  if is_disk_full(error):
    path = getattr(error, "filename", None)
    where = f" while writing {_name(path)}" if path else ""
    return f"no space left on the disk{where}; free some and retry"
  if isinstance(error, OSError) and error.filename is not None:
    return f"{_name(error.filename)}: {os_reason(error)}"
  return None


def is_disk_full(error: BaseException | str) -> bool:
  """Returns whether an error, also a library's own, means a full disk."""
  kinds = (errno.ENOSPC, errno.EDQUOT)
  return any(os.strerror(kind) in str(error) for kind in kinds)


def _exit(message: str) -> NoReturn:
  sys.exit(f"error: {one_line(message)}")


def _name(path: str | bytes | os.PathLike | int) -> str:
  return str(path) if isinstance(path, int) else as_text(path)


def os_reason(error: OSError) -> str:
  """Returns what the system says, also of errors without a number."""
  return error.strerror or str(error)


def flags_parser(config: flags.FlagHolder) -> Callable[[list[str]], list[str]]:
  """Returns a `flags_parser` for `absl.app.run` that raises UserErrors.

  They report mistakes in the flags, in the file that `config` names (a flag
  from `config_flags.DEFINE_config_file`) and in the fields that are set.
  """

  def parse(words: list[str]) -> list[str]:
    try:
      rest = flags.FLAGS(words)
      # An unreadable file raises only when the configuration is first used.
      hasattr(config.value, "lock")
      return rest
    except (AttributeError, KeyError) as error:
      message = f"--config: {_missing_field(error)}"
    except SyntaxError as error:
      message = f"--config={error.filename}: not Python: {error}"
    except OSError as error:
      message = f"--config: {str(error).rpartition('] ')[2]}"
    except flags.Error as error:
      # It may hold a traceback; the last line says what was wrong.
      message = str(error).strip().splitlines()[-1]
    raise UserError(message)

  return parse


def _missing_field(error: Exception) -> str:
  cause = error.args[0]
  if not isinstance(cause, KeyError):
    return str(cause)
  # ml_collections proposes a similar name on a line of its own.
  message = cause.args[0].replace("\nDid", "; did")
  return f"no such field (configs/default.py has them all): {message}"
