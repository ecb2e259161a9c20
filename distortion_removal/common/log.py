"""Log lines for people: ours on stderr, the libraries' only from warnings."""

import logging
import sys

import absl.logging
from tqdm import tqdm

logger = logging.getLogger("distortion_removal")


class _Handler(logging.Handler):
  """Writes above a progress bar where there is one."""

  def emit(self, record: logging.LogRecord) -> None:
    # tqdm.write finds the bars by itself; without one it is a plain write.
    # stderr is looked up late: tests and notebooks replace it.
    tqdm.write(self.format(record), file=sys.stderr)


def setup() -> None:
  """Shows our log lines from info on; commands call it once."""
  absl.logging.set_verbosity(absl.logging.WARNING)
  if not logger.handlers:
    handler = _Handler()
    handler.setFormatter(
      logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    )
    logger.addHandler(handler)
    logger.propagate = False
  logger.setLevel(logging.INFO)
