"""Calls of compiled programs on all cores of a CPU.

Inside its loops XLA uses one core, so that work that can be divided is given to
as many calls as there are cores. An accelerator is fed by one thread.
"""

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from distortion_removal.common import cores


def thread_count() -> int:
  """Returns how many calls run at a time."""
  return cores.available() if jax.default_backend() == "cpu" else 1


def call_side_by_side(
  call: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[tuple[Any, Any]]:
  """Yields the items in order, with the results of calls in threads.

  JAX's settings are those of each thread. Items are taken as they are needed:
  few results wait, whatever the number of items.
  """
  items = iter(items)
  with concurrent.futures.ThreadPoolExecutor(thread_count()) as pool:

    def submit(count: int) -> list[tuple[Any, concurrent.futures.Future]]:
      return [(x, pool.submit(call, x)) for x in itertools.islice(items, count)]

    waiting = collections.deque(submit(thread_count() + 1))
    try:
      while waiting:
        item, future = waiting.popleft()
        result = future.result()
        waiting.extend(submit(1))
        yield item, result
    finally:
      pool.shutdown(cancel_futures=True)
