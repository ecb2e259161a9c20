"""Cores that this process may use, and whether it may start processes.

A spawned process imports the program's `__main__` anew, and a user's script
without `if __name__ == "__main__"` would run again from its start. So library
calls stay in one process unless given a number; our commands lift that.
"""

import os

_can_spawn = False


def available() -> int:
  """Returns the number of cores that the process may run on."""
  is_linux = hasattr(os, "sched_getaffinity")
  return len(os.sched_getaffinity(0)) if is_linux else os.cpu_count() or 1


def allow_processes() -> None:
  """Declares that `__main__` can be imported anew; commands call it once."""
  global _can_spawn
  _can_spawn = True


def default_jobs() -> int:
  """Returns the default of `jobs`: 1, or 0 to choose by the amount of work."""
  return 0 if _can_spawn else 1
