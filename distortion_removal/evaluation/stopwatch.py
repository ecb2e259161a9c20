"""How long a method takes, but for what JAX compiles."""

import functools
import threading
import time

import jax

_COMPILING = "/jax/core/compile/"  # tracing, lowering and compiling
_thread = threading.local()


class Stopwatch:
  """A context manager; what other threads compile counts.

  Attributes:
    seconds: after leaving, how long it took.
  """

  seconds = 0.0

  def __enter__(self) -> "Stopwatch":
    """Begins."""
    _listen()
    _thread.spans = self._spans = []
    self._start = time.perf_counter()
    return self

  def __exit__(self, *_: object) -> None:
    """Ends."""
    elapsed = time.perf_counter() - self._start
    _thread.spans = None
    self.seconds = max(0.0, elapsed - _covered(self._spans))


@functools.cache
def _listen() -> None:
  jax.monitoring.register_event_duration_secs_listener(_note)


def _note(event: str, seconds: float, **_: object) -> None:
  spans = getattr(_thread, "spans", None)
  if spans is not None and event.startswith(_COMPILING):
    end = time.perf_counter()
    spans.append((end - seconds, end))


def _covered(spans: list[tuple[float, float]]) -> float:
  """Seconds within any of the spans: a function is traced within another."""
  covered, until = 0.0, float("-inf")
  for start, end in sorted(spans):
    covered += max(0.0, end - max(start, until))
    until = max(until, end)
  return covered
