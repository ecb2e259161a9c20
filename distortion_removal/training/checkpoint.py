"""What a run stores: the only file that knows orbax.

    workdir/checkpoints/last/STEP/{params,ema,opt,data}   to resume from
    workdir/checkpoints/best/STEP/ema                     to evaluate

Items are kept apart so that evaluation reads `ema` alone. It and `params` hold
all collections of the network's variables, averaged and not. The state of the
data iterator goes along, so a resumed run sees the batches that an
uninterrupted one would have seen.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from distortion_removal.common.errors import UserError

_ROOT = "checkpoints"
_UNKNOWN_SCORE = -1e3  # dB, of weights that were not scored here
_OVERHEAD_BYTES = 1 << 20  # of a checkpoint, for names and shapes
_DIGEST_BYTES = 1 << 22


class Checkpoints:
  """The checkpoints of one run; writes beside and renames, asynchronously."""

  def __init__(self, workdir: Path):
    self._root = root = (workdir / _ROOT).absolute()
    self._last = _manager(root / "last", ("params", "ema", "opt", "data"), 2)
    self._best = _manager(
      root / "best", ("ema",), 1, best_fn=lambda metrics: metrics["score"]
    )

  def latest_step(self) -> int | None:
    """The last step stored, or None in a new run."""
    return self._last.latest_step()

  def best_score(self) -> float | None:
    """The validation score of the best weights stored, or None."""
    step = self._best.latest_step()
    return None if step is None else self._best.metrics(step)["score"]

  def are_imported(self) -> bool:
    """Whether there are weights that `save_weights` stored, and no others."""
    return self.latest_step() is None and self.best_score() == _UNKNOWN_SCORE

  def save_last(self, step: int, state: Any, data: Any) -> None:
    """Stores everything needed to resume after `step`, unless it is there."""
    if self.latest_step() == step:
      return
    import grain  # Two seconds that evaluation need not spend.

    host = jax.device_get(state)
    self._require_space((host.variables, host.ema, host.opt_state))
    self._last.save(
      step,
      args=ocp.args.Composite(
        params=ocp.args.StandardSave(host.variables),
        ema=ocp.args.StandardSave(host.ema),
        opt=ocp.args.StandardSave(host.opt_state),
        data=grain.checkpoint.CheckpointSave(data),
      ),
    )

  def save_best(self, step: int, variables: Any, score: float) -> None:
    """Stores the variables of `step` as the best so far."""
    host = jax.device_get(variables)
    self._require_space(host)
    self._best.save(
      step,
      args=ocp.args.Composite(ema=ocp.args.StandardSave(host)),
      metrics={"score": score},
      force=True,
    )

  def _require_space(self, tree: Any) -> None:
    """Refuses what will not fit: orbax would fail noisily, from threads."""
    for manager in (self._last, self._best):
      manager.wait_until_finished()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    needed, free = size + _OVERHEAD_BYTES, shutil.disk_usage(self._root).free
    if free < needed:
      raise UserError(
        f"{self._root}: no space left on the disk: a checkpoint takes "
        f"{needed / 1e6:.1f} MB of {free / 1e6:.1f}; make room, and the same "
        "command resumes"
      )

  def restore_last(self, state: Any, data: Any) -> Any:
    """Returns `state` as last stored, and sets `data` to go on from there."""
    import grain

    step = self.latest_step()
    host = jax.device_get(state)
    try:
      restored = self._last.restore(
        step,
        args=ocp.args.Composite(
          params=ocp.args.StandardRestore(host.variables),
          ema=ocp.args.StandardRestore(host.ema),
          opt=ocp.args.StandardRestore(host.opt_state),
          data=grain.checkpoint.CheckpointRestore(data),
        ),
      )
    except (KeyError, OSError, ValueError) as error:
      folder = self._root / "last" / str(step)
      raise UserError(
        f"{folder}: the checkpoint is damaged; remove that folder to resume "
        "from the one before, or take another --workdir"
      ) from error
    model_state = dict(restored.params)
    return state.replace(
      step=step,
      params=model_state.pop("params"),
      model_state=model_state,
      ema=restored.ema,
      opt_state=restored.opt,
    )

  def reached_preemption(self, step: int) -> bool:
    """Whether the pod is about to be taken away (needs jax.distributed)."""
    return self._last.reached_preemption(step)

  def close(self) -> None:
    """Waits for what is still being written."""
    for manager in (self._last, self._best):
      manager.wait_until_finished()
      manager.close()


def restore_weights(workdir: Path, shapes: Any) -> tuple[Any, int]:
  """Reads the weights of a run to evaluate, the best ones if there are some.

  Args:
    workdir: where training wrote.
    shapes: the variables of the run's model, as `jax.ShapeDtypeStruct`.

  Returns:
    The variables, with averaged parameters, as a tree of arrays like `shapes`,
    and their step.

  Raises:
    UserError: there are none, or they are damaged or another model's.
  """
  path = _weights(workdir)
  if path is None:
    raise UserError(f"{workdir}: no checkpoint here; train first")
  handler = ocp.StandardCheckpointHandler()
  try:
    check_same_model(dict(handler.metadata(path)), shapes, path)
    weights = handler.restore(path, args=ocp.args.StandardRestore(shapes))
  except (OSError, ValueError) as error:
    reason = str(error).partition(":")[0]
    raise UserError(
      f"{path}: the checkpoint is damaged ({reason}); use another run"
    ) from error
  return weights, int(path.parent.name)


def digest(workdir: Path) -> str:
  """Tells the weights that `restore_weights` reads from others; "" if none."""
  folder = _weights(workdir)
  if folder is None:
    return ""
  found = hashlib.blake2b(digest_size=16)
  for path in sorted(x for x in Path(folder).rglob("*") if x.is_file()):
    found.update(str(path.relative_to(folder)).encode())
    with open(path, "rb") as file:
      while block := file.read(_DIGEST_BYTES):
        found.update(block)
  return found.hexdigest()


def _weights(workdir: Path) -> epath.Path | None:
  """The folder of the weights to evaluate."""
  for kind in ("best", "last"):
    root = epath.Path(workdir).resolve() / _ROOT / kind
    # orbax renames a step's folder to its number once it is complete.
    steps = [int(path.name) for path in root.glob("*") if path.name.isdigit()]
    if steps:
      return root / str(max(steps)) / "ema"
  return None


def save_weights(workdir: Path, variables: Any, step: int) -> None:
  """Stores variables that were not trained here, as a run to evaluate."""
  checkpoints = Checkpoints(workdir)
  checkpoints.save_best(step, variables, _UNKNOWN_SCORE)
  checkpoints.close()


def _manager(
  path: Path, items: tuple[str, ...], keep: int, **options: Any
) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(
    max_to_keep=keep, create=True, **options
  )
  return ocp.CheckpointManager(path, item_names=items, options=options)


def check_same_model(stored: Any, shapes: Any, path: Path) -> None:
  """Checks that weights have the names and shapes that a model asks for.

  Args:
    stored: variables that were found.
    shapes: variables that the model expects.
    path: where they were found.

  Raises:
    UserError: they differ; the message names the first that does.
  """

  def describe(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
      jax.tree_util.keystr(key, simple=True, separator="/"): tuple(leaf.shape)
      for key, leaf in leaves
    }

  there, wanted = describe(stored), describe(shapes)
  for name in sorted(there.keys() | wanted.keys()):
    if there.get(name) != wanted.get(name):
      raise UserError(
        f"{path}: a checkpoint of another model: {name} has shape "
        f"{there.get(name, 'none')}, the configuration asks for "
        f"{wanted.get(name, 'none')}; use the workdir's own config.json"
      )
