"""The one exception that a user's mistake raises, and how it is shown."""

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeVar

T = TypeVar("T")


class UserError(Exception):
  """Something the user can mend: bad input, a missing file, a wrong option.

  The message is one line that says what is wrong, where, and how to mend it.
  """


def look_up(table: Mapping[str, T], kind: str, name: str) -> T:
  """Returns what `table` lists as `name`.

  Raises:
    UserError: no `kind` has that name; the message lists those there are.
  """
  if name not in table:
    known = ", ".join(sorted(table))
    raise UserError(f"unknown {kind} {name!r}; choose one of: {known}")
  return table[name]


class OneLineParser(argparse.ArgumentParser):
  """Tells a mistake on the command line in one line, without the usage."""

  def error(self, message: str) -> NoReturn:
    """Raises UserError; the message names the option."""
    raise UserError(f"{message}; see {self.prog} --help")


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
  """Turns what a user can mend into one line on stderr and exit status 1.

  `UserError` and the operating system's own refusals (a folder that cannot be
  written, a full disk) are a user's business; anything else is a defect of
  ours and keeps its traceback.
  """
  try:
    yield
  except UserError as error:
    sys.exit(f"error: {error}")
  except KeyboardInterrupt:
    sys.exit("error: interrupted")
  except Exception as error:
    # Libraries wrap the system's refusal in errors of their own.
    if os.strerror(errno.ENOSPC) in str(error):
      path = getattr(error, "filename", None)
      where = f" while writing {path}" if path else ""
      sys.exit(f"error: no space left on the disk{where}; free some and retry")
    if not isinstance(error, OSError) or error.filename is None:
      raise
    sys.exit(f"error: {error.filename}: {error.strerror}")
