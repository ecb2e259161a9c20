"""Work in threads beside the caller, of which little waits."""

import collections
import concurrent.futures
from collections.abc import Callable
from typing import Any

from distortion_removal.common import cores


class Beside:
  """A context manager: leaves when all work is done, or the caller fails.

  What a call raises comes out of a later `submit`, or on leaving.
  """

  def __init__(self) -> None:
    # Most metrics use several cores themselves.
    self._threads = max(1, cores.available() // 4)
    self._pool = concurrent.futures.ThreadPoolExecutor(self._threads)
    self._waiting: collections.deque = collections.deque()

  def __enter__(self) -> "Beside":
    """Begins."""
    return self

  def __exit__(self, kind: type | None, *_: object) -> None:
    """Waits for what is left; after an error, for what has begun."""
    try:
      while kind is None and self._waiting:
        self._waiting.popleft().result()
    finally:
      self._pool.shutdown(cancel_futures=True)

  def submit(self, call: Callable[..., None], *arguments: Any) -> None:
    """Calls beside; waits first while more than one call would wait."""
    while len(self._waiting) > self._threads:
      self._waiting.popleft().result()
    self._waiting.append(self._pool.submit(call, *arguments))
