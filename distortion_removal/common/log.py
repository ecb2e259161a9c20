"""Log lines and progress on stderr; of libraries, only their warnings."""

import functools
import logging
import sys

import absl.logging
from tqdm import tqdm

logger = logging.getLogger("distortion_removal")


class _Handler(logging.Handler):
  """Writes above a progress bar, if there is one."""

  def emit(self, record: logging.LogRecord) -> None:
    # Looks stderr up late: tests and notebooks replace it.
    tqdm.write(self.format(record), file=sys.stderr)


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


class Progress:
  """Shows progress of long work: a bar on a terminal, log lines elsewhere.

  The bar counts `total` in `unit`; `message` has a `%` for the percentage.
  """

  def __init__(self, total: int, message: str, *, unit: str, is_shown: bool):
    self._total, self._message, self._done = total, message, 0
    self._logs = is_shown and not sys.stderr.isatty()
    self._bar = tqdm(
      total=total,
      unit=unit,
      unit_scale=total > 10_000,
      disable=self._logs or not is_shown,
    )

  def __enter__(self) -> "Progress":
    return self

  def __exit__(self, *_: object) -> None:
    self._bar.close()

  def advance(self, count: int) -> None:
    """Adds to the work that is done."""
    before, self._done = self._done, self._done + count
    self._bar.update(count)
    # A line every tenth.
    lines = [10 * done // self._total for done in (before, self._done)]
    if self._logs and lines[0] < lines[1]:
      logger.info(self._message, 100.0 * self._done / self._total)
