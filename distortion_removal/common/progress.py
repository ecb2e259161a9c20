"""Progress of long work: a bar on a terminal, log lines elsewhere."""

import sys

from tqdm import tqdm

from distortion_removal.common.log import logger

_STEPS = 10  # log lines of a whole


class Progress:
  """Counts what is done; a context manager.

  Args:
    total: how much there is to do.
    what: is done, for the log: "declipped … % of the clipped frames".
    unit: of one, for the bar.
    is_shown: whether to show anything.
  """

  def __init__(self, total: int, what: str, *, unit: str, is_shown: bool):
    self._total, self._what, self._done = total, what, 0
    self._logs = is_shown and not sys.stderr.isatty()
    is_quiet = self._logs or not is_shown
    self._bar = tqdm(
      total=total, unit=unit, unit_scale=total > 10_000, disable=is_quiet
    )

  def __enter__(self) -> "Progress":
    """Begins."""
    return self

  def __exit__(self, *_: object) -> None:
    """Leaves the bar as it is."""
    self._bar.close()

  def advance(self, count: int) -> None:
    """Adds to what is done."""
    before, self._done = self._done, self._done + count
    self._bar.update(count)
    passed = [_STEPS * done // self._total for done in (before, self._done)]
    if self._logs and passed[0] < passed[1]:
      logger.info(self._what, 100.0 * self._done / self._total)
