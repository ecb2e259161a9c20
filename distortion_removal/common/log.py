"""Results on stdout; log lines and progress on stderr.

Of libraries, only warnings are shown.
"""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

import absl.logging
from tqdm import tqdm

from distortion_removal.common.files import one_line

logger = logging.getLogger("distortion_removal")
# Gets the share of long work that is done, and what to say of it.
Watcher = Callable[[float, str], None]
_watcher: ContextVar[Watcher | None] = ContextVar("_watcher", default=None)


class _Handler(logging.Handler):
  """Writes our log lines."""

  def emit(self, record: logging.LogRecord) -> None:
    note(self.format(record))


def setup() -> None:
  """Shows our log lines from info on; commands call it once."""
  absl.logging.set_verbosity(absl.logging.WARNING)
  if not logger.handlers:
    handler, form = _Handler(), "%(asctime)s %(message)s"
    handler.setFormatter(logging.Formatter(form, "%H:%M:%S"))
    logger.addHandler(handler)
    logger.propagate = False
  logger.setLevel(logging.INFO)


@functools.cache
def warn_once(message: str) -> None:
  """Logs a warning, unless this process has logged it before."""
  logger.warning("%s", message)


@contextlib.contextmanager
def streams() -> Iterator[None]:
  """Makes stdout and stderr take any text, and no end of theirs a defect.

  Characters that the locale does not have are escaped. A reader that stops
  reading (`| head`) ends a command quietly where it prints next; what it writes
  to files must be there by then.

  Raises:
    OSError: stdout's disk is full; the `filename` is "standard output".
  """
  for name in ("stdout", "stderr"):
    if getattr(sys, name) is None:  # closed by the caller
      setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    stream = getattr(sys, name)
    if hasattr(stream, "reconfigure"):
      stream.reconfigure(errors="backslashreplace")
  try:
    yield
  except BaseException:
    with contextlib.suppress(OSError, SystemExit):
      _print("")
    raise
  _print("")


def say(text: str) -> None:
  """Prints a result on stdout, at once."""
  _print(f"{text}\n")


def note(text: str) -> None:
  """Prints one line on stderr, above a progress bar if there is one."""
  # Looks stderr up late: tests and notebooks replace it.
  try:
    tqdm.write(one_line(text), file=sys.stderr)
    sys.stderr.flush()
  except OSError:  # No one reads it any more; the work goes on.
    _silence(sys.stderr)


def _print(text: str) -> None:
  try:
    sys.stdout.write(text)
    sys.stdout.flush()
  except OSError as error:
    _silence(sys.stdout)
    if sys.stdout is sys.stderr:  # stdout gets the sound, which is yet to come
      return
    if isinstance(error, BrokenPipeError):
      sys.exit(0)
    error.filename = "standard output"
    raise


def _silence(stream: TextIO) -> None:
  """Sends to nowhere what is written, and what is left in the buffer.

  Python would try that again, and report it, at its end.
  """
  with open(os.devnull, "w") as nowhere, contextlib.suppress(OSError):
    os.dup2(nowhere.fileno(), stream.fileno())


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
  """Shows a function all progress within; what it raises ends the work."""
  token = _watcher.set(watcher)
  try:
    yield
  finally:
    _watcher.reset(token)


class Progress:
  """Shows progress of long work: a bar on a terminal, log lines elsewhere.

  Only where info lines are shown: not in other people's programs. The bar
  counts `total` in `unit`; `message` has a `%` for the percentage. A watcher
  sees it in any case.
  """

  def __init__(self, total: int, message: str, *, unit: str, is_shown: bool):
    self._total, self._message, self._done = total, message, 0
    self._watcher = _watcher.get() if is_shown else None
    is_shown = is_shown and logger.isEnabledFor(logging.INFO)
    self._logs = is_shown and not sys.stderr.isatty()
    self._bar = tqdm(
      total=total,
      unit=unit,
      unit_scale=total > 10_000,
      disable=self._logs or not is_shown,
    )

  def __enter__(self) -> "Progress":
    self._tell_watcher()
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.close()

  def advance(self, count: int) -> None:
    """Adds to the work that is done."""
    before, self._done = self._done, self._done + count
    self._bar.update(count)
    self._tell_watcher()
    # A line every tenth.
    lines = [10 * done // self._total for done in (before, self._done)]
    if self._logs and lines[0] < lines[1]:
      logger.info(self._message, 100.0 * self._done / self._total)

  def _tell_watcher(self) -> None:
    if self._watcher and self._total:
      share = self._done / self._total
      self._watcher(share, self._message % (100.0 * share))
