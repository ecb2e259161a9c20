"""How many cores this process may use."""

import os


def available() -> int:
  """The cores that the process is allowed to run on."""
  if hasattr(os, "sched_getaffinity"):  # Not everywhere.
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
