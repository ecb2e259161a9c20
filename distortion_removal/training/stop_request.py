"""A request from outside to stop: SIGTERM or SIGINT."""

import signal
from typing import Any

import jax


class StopRequest:
  """Set by SIGTERM or SIGINT, so that a run stops between steps, stored.

  With `jax.distributed`, JAX catches SIGTERM itself and has all processes
  stop at the same step (`Checkpoints.reached_preemption`).
  """

  def __init__(self):
    self.signal = None
    self._before = {}

  def __enter__(self) -> "StopRequest":
    if jax.process_count() == 1:
      for kind in (signal.SIGTERM, signal.SIGINT):
        self._before[kind] = signal.signal(kind, self._set)
    return self

  def __exit__(self, *_: object) -> None:
    for kind, handler in self._before.items():
      signal.signal(kind, handler)

  def _set(self, kind: int, _: Any) -> None:
    if self.signal is not None:
      raise KeyboardInterrupt  # Asked twice: now.
    self.signal = kind
