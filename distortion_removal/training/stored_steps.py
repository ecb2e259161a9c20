"""Stored steps of a run: their folders, and reading what is in them whole.

A folder has a number for a name if and only if it is complete: orbax renames it
when all is written, and before any of it is removed. Each has the `checksums`
of its items, since orbax reads a flipped bit in a large array as it is.
"""

import functools
import json
import logging
import sys
import zlib
from pathlib import Path
from typing import Any

import absl.logging
import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from flax import serialization

from distortion_removal.common import devices
from distortion_removal.common.errors import UserError, is_disk_full
from distortion_removal.common.log import logger

ITEMS = {"last": ("params", "ema", "opt", "guard"), "best": ("ema", "metrics")}
_ROOT = "checkpoints"


def root(workdir: Path) -> Path:
  """Returns the folder of all checkpoints of a run."""
  return workdir.resolve() / _ROOT


def folders(workdir: Path, kind: str) -> list[Path]:
  """Lists the folders of the steps that are stored completely, in order."""
  paths = [x for x in (root(workdir) / kind).glob("*") if x.name.isdigit()]
  return sorted(paths, key=lambda path: int(path.name))


def checksum(tree: Any) -> int:
  """Returns the CRC-32 of names, types, shapes and values."""
  # Named tuples are stored as dictionaries.
  tree, found = serialization.to_state_dict(tree), 0
  for key, leaf in jax.tree_util.tree_leaves_with_path(tree):
    array = np.ascontiguousarray(leaf)
    text = f"{jax.tree_util.keystr(key)} {array.dtype} {np.shape(leaf)}"
    found = zlib.crc32(text.encode(), found)
    found = zlib.crc32(array.reshape(-1).view(np.uint8), found)
  return found


def read(folder: Path, item: str, target: Any = None) -> Any:
  """Reads an item of a step, like the tree `target` if there is one.

  Raises:
    UserError: it is damaged.
  """
  quiet_orbax()
  path = epath.Path(folder) / item
  try:
    checksums = json.loads((path.parent / "checksums/metadata").read_text())
    if item == "metrics":
      tree = json.loads((path / "metrics").read_text())
    else:
      args = ocp.args.StandardRestore(target)
      tree = ocp.StandardCheckpointHandler().restore(path, args=args)
    reason = "" if checksum(tree) == checksums[item] else "its checksum differs"
  except Exception as error:  # Of any kind: a flipped byte leads orbax astray.
    # A disk that does not answer is another matter.
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
      raise
    reason = _reason(error)
  if reason:
    remedy = "training with --skip_damaged resumes from the one before"
    if folder.parent.name == "best":
      remedy = f"remove {folder}, and the last weights are taken"
    raise UserError(f"{path}: the checkpoint is damaged ({reason}); {remedy}")
  return tree


def _reason(error: Exception) -> str:
  """Returns the end of a message, which names the file or what is wrong."""
  line = f"{type(error).__name__}: {error}".splitlines()[0]
  return ": ".join(line.partition(" [tensorstore_spec")[0].split(": ")[-2:])


@functools.cache
def quiet_orbax() -> None:
  """Keeps orbax's threads from printing tracebacks of what it raises anyway.

  That is of a full disk, and of reads it abandons where one of them fails.
  """
  before = sys.unraisablehook

  def hook(found: Any) -> None:
    if str(found.exc_value) != "Event loop is closed":
      before(found)

  def is_news(record: logging.LogRecord) -> bool:
    text = f"{record.getMessage()} {record.exc_info and record.exc_info[1]}"
    return "orbax" not in record.pathname or not is_disk_full(text)

  sys.unraisablehook = hook
  absl.logging.get_absl_handler().python_handler.addFilter(is_news)


def drop_damaged(workdir: Path) -> None:
  """Drops the last checkpoints that are damaged, down to one that is not.

  Raises:
    UserError: all are damaged.
  """
  damaged = []
  for kind in ITEMS:
    for folder in reversed(folders(workdir, kind)):
      try:
        for item in ITEMS[kind]:
          read(folder, item)
        break
      except UserError as error:
        damaged.append(folder)
        logger.warning("%s", str(error).rpartition("; ")[0])
    else:
      if kind == "last" and damaged:
        raise UserError(
          f"{damaged[-1].parent}: no checkpoint here is whole; give another "
          "--workdir"
        )
  devices.wait_for_all("checkpoints-read")
  if devices.is_main_process():
    for folder in damaged:
      # At once, so that it never looks whole; `Checkpoints` removes it.
      folder.rename(folder.with_name(f"{folder.name}.damaged"))
  devices.wait_for_all("checkpoints-dropped")
