"""Writes a receipt beside a result: what made it, and of what."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from distortion_removal import __version__
from distortion_removal.audio import files
from distortion_removal.common.files import as_text, write_whole
from distortion_removal.inference.batch import Job


def write(
  job: Job,
  options: Mapping[str, Any],
  account: Mapping[str, Any],
  seconds: float,
) -> None:
  """Writes the receipt of a job that is done.

  Args:
    job: the recording and its result.
    options: the command's, as they were given.
    account: the method, why it was chosen, and what was found.
    seconds: that the job took.
  """
  content = {
    "distortion_removal": __version__,
    "jax": jax.__version__,
    "device": jax.default_backend(),
    "options": {name: _plain(value) for name, value in options.items()},
    **account,
    "input": _digested(job.source, files.info(job.source).file),
    "output": _digested(job.target, job.target),
    "seconds": round(seconds, 3),
  }
  write_whole(job.receipt, json.dumps(content, indent=2) + "\n")


def discard(job: Job) -> None:
  """Removes the receipt of a result that is replaced; other files stay."""
  try:
    content = json.loads(job.receipt.read_text())
  except (OSError, ValueError):
    return
  if isinstance(content, dict) and "distortion_removal" in content:
    job.receipt.unlink()


def _plain(value: Any) -> Any:
  """Returns an option as JSON can hold it."""
  if isinstance(value, tuple):
    return [_plain(part) for part in value]
  if isinstance(value, Path):
    return as_text(value)
  is_infinite = isinstance(value, float) and math.isinf(value)
  return str(value) if is_infinite else value


def _digested(name: Path, path: Path) -> dict[str, str]:
  """Returns a file's name and digest; `path` holds what came from a pipe."""
  with path.open("rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
  return {"file": as_text(name), "sha256": digest}
