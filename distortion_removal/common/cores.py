"""How many cores this process may use, and whether with processes of its own.

A spawned process imports the program's `__main__` anew. Our commands can be
imported; a user's script that has no `if __name__ == "__main__"` would run
again from its start. So a library call stays in its process unless it is told
a number, and only commands lift that.
"""

import os

_can_spawn = False


def available() -> int:
  """The cores that the process is allowed to run on."""
  if hasattr(os, "sched_getaffinity"):  # Not everywhere.
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def allow_processes() -> None:
  """Says that `__main__` can be imported anew; commands call it once."""
  global _can_spawn
  _can_spawn = True


def default_jobs() -> int:
  """What `jobs` is to work nobody chose it for: 1, or 0: as many as pay."""
  return 0 if _can_spawn else 1
