"""Where and from what numbers come: the machine, the commit, the command."""

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jax

from distortion_removal.common import cores
from distortion_removal.evaluation.timing import cpu_name

_ROOT = Path(__file__).resolve().parents[1]


def commit() -> str:
  """Returns the checkout's commit, with "-dirty" if it was changed; "" if none.

  This is the checkout that this file lies in.
  """
  git = ["git", "describe", "--always", "--dirty"]
  found = subprocess.run(
    git, cwd=_ROOT, capture_output=True, text=True, check=False
  )
  return found.stdout.strip()


def made_by(program: str, words: Sequence[str]) -> str:
  """Returns a sentence with the command, the commit and the hardware."""
  command = shlex.join([*program.split(), *words])
  hardware = f"{cpu_name()}, cores: {cores.available()}"
  return f"Made by `{command}` at commit {commit() or 'unknown'} ({hardware})."


def machine_line() -> str:
  """Returns a line with the cores, the load now, the device and JAX."""
  return (
    f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
    f"load {os.getloadavg()[0]:.1f}, {jax.devices()[0].device_kind}, "
    f"jax {jax.__version__}"
  )
