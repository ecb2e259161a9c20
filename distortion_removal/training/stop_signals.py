"""SIGTERM and Ctrl-C, which stop a training between two steps."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import jax


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """Yields a list that gets SIGTERM or SIGINT, to stop between two steps.

  With `jax.distributed` it stays empty: JAX catches SIGTERM itself and has all
  processes stop at the same step (`Checkpoints.reached_preemption`).
  """
  received = []

  def receive(number: int, _: Any) -> None:
    if received:
      raise KeyboardInterrupt  # Asked twice: now.
    received.append(number)

  kinds = (signal.SIGTERM, signal.SIGINT) if jax.process_count() == 1 else ()
  before = {kind: signal.signal(kind, receive) for kind in kinds}
  try:
    yield received
  finally:
    for kind, handler in before.items():
      signal.signal(kind, handler)
