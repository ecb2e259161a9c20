"""Checkpoints of a run; no other module writes them.

    workdir/checkpoints/last/STEP/{params,ema,opt,guard}   to resume from
    workdir/checkpoints/best/STEP/{ema,metrics}            to evaluate

Items are separate so that evaluation reads `ema` alone. `params` and `ema` hold
all collections of the network's variables, without and with averaging; `guard`
counts the steps that were not taken. The position in the data needs no record:
it is the step.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from distortion_removal.common import devices
from distortion_removal.common.errors import (
  UserError,
  check_is_utf8,
  is_disk_full,
)
from distortion_removal.training import stored_steps

_IMPORTED_SCORE = -1e3  # dB, stands for weights that were not scored here
_OVERHEAD_BYTES = 1 << 20  # names and shapes in a checkpoint


class Checkpoints:
  """The checkpoints of one run, written asynchronously.

  Attributes:
    best_score: validation score of the best weights stored, -inf without any.
  """

  def __init__(self, workdir: Path):
    self._root = root = stored_steps.root(workdir)
    check_is_utf8(root)
    stored_steps.quiet_orbax()
    self.best_score = max(_scores(workdir), default=-float("inf"))
    self._tidy()
    self._last = _manager(root / "last", 2)
    self._best = _manager(
      root / "best", 1, best_fn=lambda metrics: metrics["score"]
    )

  def latest_step(self) -> int | None:
    """Returns the last step stored, or None in a new run."""
    return self._last.latest_step()

  def save_last(self, step: int, state: Any) -> None:
    """Stores everything needed to resume after `step`, unless it is there."""
    if self.latest_step() == step:
      return
    trees = _trees(state)
    self._require_space(trees)
    self._last.save(step, args=_to_save(trees, trees))

  def save_best(self, step: int, variables: Any, score: float) -> None:
    """Stores the variables of `step` as the best so far."""
    trees = {"ema": jax.device_get(variables)}
    self._require_space(trees)
    metrics = {"score": score}
    args = _to_save(trees, trees | {"metrics": metrics})
    self._best.save(step, args=args, metrics=metrics, force=True)
    self.best_score = score

  def _require_space(self, tree: Any) -> None:
    """Raises UserError on a full disk: orbax would fail noisily, in threads."""
    self._wait()
    self._tidy()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    needed, free = size + _OVERHEAD_BYTES, shutil.disk_usage(self._root).free
    if free < needed:
      raise UserError(
        f"{self._root}: no space left on the disk: a checkpoint takes "
        f"{needed / 1e6:.1f} MB of {free / 1e6:.1f}; make room, and the same "
        "command resumes"
      )

  def restore_last(self, state: Any) -> Any:
    """Returns `state` as it was last stored."""
    step, trees = self.latest_step(), _trees(state)
    folder = self._root / "last" / str(step)
    stored = {
      key: stored_steps.read(folder, key, tree) for key, tree in trees.items()
    }
    model_state = dict(stored["params"])
    return state.replace(
      step=step,
      params=model_state.pop("params"),
      model_state=model_state,
      ema=stored["ema"],
      opt_state=stored["opt"],
      guard=stored["guard"],
    )

  def reached_preemption(self, step: int) -> bool:
    """Returns whether the pod will be taken away (needs jax.distributed)."""
    return self._last.reached_preemption(step)

  def _tidy(self) -> None:
    """Removes what was not completed, and what was replaced."""
    if devices.is_main_process():
      for path in self._root.glob("*/*"):
        if not path.name.isdigit():
          shutil.rmtree(path, ignore_errors=True)

  def _wait(self) -> None:
    """Waits for what is being written; UserError if the disk became full."""
    try:
      for manager in (self._last, self._best):
        manager.wait_until_finished()
    except Exception as error:
      if not is_disk_full(error):
        raise
      raise UserError(
        f"{self._root}: no space left on the disk; make room, and the same "
        "command resumes from the checkpoint before"
      ) from None

  def close(self) -> None:
    """Waits for what is still being written."""
    self._wait()
    self._tidy()
    self._last.close()
    self._best.close()


def _trees(state: Any) -> dict[str, Any]:
  """Copies what is stored of a train state to the host."""
  host = jax.device_get(state)
  return {
    "params": host.variables,
    "ema": host.ema,
    "opt": host.opt_state,
    "guard": host.guard,
  }


def _manager(path: Path, keep: int, **options: Any) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(
    max_to_keep=keep, create=True, todelete_subdir="replaced", **options
  )
  items = (*stored_steps.ITEMS[path.name], "checksums")
  return ocp.CheckpointManager(path, item_names=items, options=options)


def _to_save(trees: dict[str, Any], checked: dict[str, Any]) -> Any:
  """Makes orbax's arguments to store trees, and checksums of all `checked`."""
  items = {key: ocp.args.StandardSave(tree) for key, tree in trees.items()}
  checksums = {k: stored_steps.checksum(tree) for k, tree in checked.items()}
  return ocp.args.Composite(**items, checksums=ocp.args.JsonSave(checksums))


def save_weights(workdir: Path, variables: Any, step: int) -> None:
  """Stores variables that were not trained here, as a run to evaluate."""
  checkpoints = Checkpoints(workdir)
  checkpoints.save_best(step, variables, _IMPORTED_SCORE)
  checkpoints.close()


def last_step(workdir: Path) -> int | None:
  """Returns the last step that the run in `workdir` can resume from."""
  folders = stored_steps.folders(workdir, "last")
  return int(folders[-1].name) if folders else None


def are_imported(workdir: Path) -> bool:
  """Returns whether all there is are weights from `save_weights`."""
  if last_step(workdir) is not None:
    return False
  return _IMPORTED_SCORE in _scores(workdir)


def _scores(workdir: Path) -> list[float]:
  folders = stored_steps.folders(workdir, "best")
  return [stored_steps.read(x, "metrics")["score"] for x in folders]


def restore_weights(workdir: Path, shapes: Any) -> tuple[Any, int]:
  """Reads the averaged variables of a run, the best ones if there are some.

  Returns a tree of arrays like `shapes`, and the step it was stored at.

  Raises:
    UserError: there are none, or they are damaged or another model's.
  """
  folder = _weights(workdir)
  if folder is None:
    raise UserError(f"{workdir}: no checkpoint here; train first")
  check_is_utf8(folder)
  stored = stored_steps.read(folder, "ema")
  check_same_model(stored, shapes, folder / "ema")
  weights = jax.tree.map(lambda x, y: jnp.asarray(y, x.dtype), shapes, stored)
  return weights, int(folder.name)


def digest(workdir: Path) -> str:
  """Returns a hash of the weights that `restore_weights` reads; "" if none."""
  folder = _weights(workdir)
  if folder is None:
    return ""
  found = hashlib.blake2b(digest_size=16)
  folder /= "ema"
  for path in sorted(x for x in folder.rglob("*") if x.is_file()):
    found.update(str(path.relative_to(folder)).encode())
    found.update(path.read_bytes())
  return found.hexdigest()


def _weights(workdir: Path) -> Path | None:
  """Returns the folder of the step to evaluate."""
  for kind in ("best", "last"):
    if folders := stored_steps.folders(workdir, kind):
      return folders[-1]
  return None


def check_same_model(stored: Any, shapes: Any, path: Path) -> None:
  """Raises UserError unless `stored` variables have the names and `shapes`.

  The message names `path` and the first variable that differs.
  """
  if wrong := differing_shapes(stored, shapes):
    name, (there, wanted) = next(iter(wrong.items()))
    raise UserError(
      f"{path}: a checkpoint of another model: {name} has shape {there}, the "
      f"configuration asks for {wanted}; use the workdir's own config.json"
    )


def differing_shapes(stored: Any, wanted: Any) -> dict[str, tuple[str, str]]:
  """Returns both shapes, or "none", of variables in which two trees differ."""
  old, new = _shapes_by_name(stored), _shapes_by_name(wanted)
  found = {}
  for name in sorted(old.keys() | new.keys()):
    if old.get(name) != new.get(name):
      found[name] = str(old.get(name, "none")), str(new.get(name, "none"))
  return found


def _shapes_by_name(tree: Any) -> dict[str, tuple[int, ...]]:
  return {
    jax.tree_util.keystr(key, simple=True, separator="/"): tuple(leaf.shape)
    for key, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }
