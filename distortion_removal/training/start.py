"""Where training starts: a run's last checkpoint, other weights, or its seed.

All of it is decided before any work, so that what cannot start says so at once.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.training import (
  check_config,
  checkpoint,
  shipped,
  steps,
  stored_steps,
  weights,
)
from distortion_removal.training.objectives import Variables

# What a network has been trained for and on.
_TRAINED_FOR = ("model", "data", "compute_dtype", "objective")
_LISTED_LAYERS = 3


class Start(NamedTuple):
  """Where training starts.

  Attributes:
    config: the run's configuration, with the new values of a resumed run.
    step: the last step of the checkpoint to resume from, or None.
    changed: the stored and the new value of fields that a resumed run changes.
    variables: the weights to start from, if the first step is to be taken and
      they are not random.
    origin: where these are from, see `weights.load_origin`.
  """

  config: ml_collections.ConfigDict
  step: int | None = None
  changed: Mapping[str, tuple[Any, Any]] = {}
  variables: Variables | None = None
  origin: Mapping[str, Any] | None = None

  @property
  def is_finished(self) -> bool:
    """True where no step is left to take."""
    return self.step == self.config.steps

  def record(self, workdir: Path) -> None:
    """Stores the configuration, and where the weights are from."""
    if not devices.is_main_process():
      return
    if self.origin is not None:
      weights.save_origin(workdir, self.origin)
    if self.changed or not run_config.exists(workdir):
      run_config.save(self.config, workdir)


def find_start(
  config: ml_collections.ConfigDict,
  workdir: Path,
  *,
  skip_damaged: bool = False,
) -> Start:
  """Finds where a training in `workdir` starts; reads weights for it if asked.

  Checkpoints that are damaged go first if that is asked for.

  Raises:
    UserError: `workdir` holds another run, imported weights, or a run that has
      taken more steps; or the weights to start from are missing or another
      network's.
  """
  steps.learning_rates(config)
  changed, step = {}, None
  if run_config.exists(workdir):
    stored = check_config.load(workdir)
    config = _same_run(stored, config, workdir)
    changed = run_config.differences(stored, config)
    if skip_damaged:
      stored_steps.drop_damaged(workdir)
    step = checkpoint.last_step(workdir)
  if step is not None:
    _check_steps(config.steps, step, workdir)
    _log_resuming(stored, config, step, changed)
    return Start(config, step, changed)
  if not config.initialize_from:
    return Start(config, changed=changed)
  variables, origin = _read_weights(config)
  return Start(config, changed=changed, variables=variables, origin=origin)


def _same_run(
  stored: ml_collections.ConfigDict,
  config: ml_collections.ConfigDict,
  workdir: Path,
) -> ml_collections.ConfigDict:
  """Returns the configuration to resume with; UserError for another run."""
  if checkpoint.are_imported(workdir):
    raise UserError(
      f"{workdir} holds imported weights, which cannot be resumed; to train on "
      f"from them, give --config.initialize_from={workdir} and another "
      "--workdir"
    )
  config = config.copy_and_resolve_references()
  # Where a run once started need not be repeated.
  before = stored.get("initialize_from", "")
  if not config.initialize_from or _is_same(before, config.initialize_from):
    config.initialize_from = before
  if _is_same(stored.data.data_dir, config.data.data_dir):
    config.data.data_dir = stored.data.data_dir
  differing = run_config.differences(
    stored, config, ignored=run_config.CHANGEABLE_FIELDS
  )
  if differing:
    fields = "; ".join(
      f"{name}: {old!r} stored, {new!r} given"
      for name, (old, new) in differing.items()
    )
    raise UserError(
      f"{workdir} holds a run with another configuration ({fields}); give the "
      "stored values to resume it, or another --workdir: a new run, with "
      f"--config.initialize_from={workdir} from these weights"
    )
  return config


def _is_same(stored: str, given: str) -> bool:
  """Compares two spellings of a path; "" is none."""
  paths = [Path(x).expanduser().resolve() for x in (stored, given) if x]
  return len(paths) == 2 and paths[0] == paths[1]


def _check_steps(wanted: int, done: int, workdir: Path) -> None:
  if wanted < done:
    raise UserError(
      f"{workdir} has taken {done} steps, more than config.steps {wanted}; "
      f"nothing is changed; give --config.steps={done} or more, or another "
      "--workdir"
    )


def _log_resuming(
  stored: ml_collections.ConfigDict,
  config: ml_collections.ConfigDict,
  step: int,
  changed: Mapping[str, tuple[Any, Any]],
) -> None:
  """Logs where a run goes on, and what its new values do."""
  if changed:
    logger.info("the configuration changes: %s", _arrows(changed))
  if step == config.steps:
    logger.info(
      "finished after step %d; --config.steps=%d, say, trains longer",
      step,
      2 * step,
    )
    return
  logger.info("resuming after step %d of %d", step, config.steps)
  # The second stage has a schedule of its own.
  pretrained = config.pretrain_steps if step >= config.pretrain_steps else 0
  old, new = (
    float(steps.learning_rates(x)(step - pretrained)) for x in (stored, config)
  )
  if old != new:
    logger.info(
      "the learning rate follows the schedule of %d steps from here on: %.3g "
      "instead of %.3g",
      config.steps,
      new,
      old,
    )


def _arrows(changed: Mapping[str, tuple[Any, Any]]) -> str:
  return "; ".join(f"{k} {a!r} → {b!r}" for k, (a, b) in changed.items())


def _read_weights(
  config: ml_collections.ConfigDict,
) -> tuple[Variables, dict[str, Any]]:
  """Reads the weights of `config.initialize_from`, and where they are from."""
  if config.pretrain_steps:
    raise UserError(
      f"config.pretrain_steps is {config.pretrain_steps}, but pre-training is "
      "for random weights; with config.initialize_from, give "
      "--config.pretrain_steps=0"
    )
  try:
    source = shipped.find(Path(config.initialize_from).expanduser())
    stored = weights.load_config(source)
    shapes = models.variable_shapes(models.from_config(config))
    _check_same_shapes(stored, config, shapes)
    variables, step = weights.load_weights(source, shapes)
    earlier = weights.load_origin(source, stored)
  except UserError as error:
    raise UserError(f"config.initialize_from: {error}") from None
  logger.info("starting from the weights of %s, step %d", source, step)
  _log_differences(stored, config)
  origin = weights.origin_of_training(config)
  origin["initialized_from"] = {
    "source": config.initialize_from,
    "step": step,
    "sha256": weights.sha256(variables),
    **earlier,
  }
  return variables, origin


def _check_same_shapes(
  stored: ml_collections.ConfigDict,
  config: ml_collections.ConfigDict,
  shapes: Any,
) -> None:
  """Checks that all weights fit the network: none are taken in part."""
  source, name = config.initialize_from, stored.model.name
  if name != config.model.name:
    raise UserError(
      f"{source} is a {name or 'run without a network'}, config.model.name is "
      f"{config.model.name!r}; choose another source, or the --config of a "
      "network like it"
    )
  there = models.variable_shapes(models.from_config(stored))
  wrong = checkpoint.differing_shapes(there, shapes)
  if not wrong:
    return
  listed = [
    f"{layer} {old} there, {new} here"
    for layer, (old, new) in list(wrong.items())[:_LISTED_LAYERS]
  ]
  more = len(wrong) - len(listed)
  fields = run_config.differences(stored, config)
  flags = [
    shlex.quote(f"--config.{key}={_flag_value(old)}")
    for key, (old, _) in fields.items()
    if key.startswith("model.") or key == "data.channels"
  ]
  raise UserError(
    f"{source} has weights of other shapes: {'; '.join(listed)}"
    f"{f'; and {more} more' if more else ''}; give {' '.join(flags)}"
  )


def _flag_value(value: Any) -> Any:
  """Returns a field's JSON value as its flag takes it."""
  return tuple(value) if isinstance(value, list) else value


def _log_differences(
  stored: ml_collections.ConfigDict, config: ml_collections.ConfigDict
) -> None:
  """Logs in what these weights were trained otherwise than they will be."""
  differing = {
    key: values
    for key, values in run_config.differences(
      stored, config, ignored=run_config.CHANGEABLE_FIELDS
    ).items()
    if key.partition(".")[0] in _TRAINED_FOR
  }
  if differing:
    logger.info("trained otherwise before: %s", _arrows(differing))
  if "data.sample_rate" in differing:
    logger.warning(
      "the weights were trained at %d Hz: at %d Hz all filters move in pitch",
      *differing["data.sample_rate"],
    )
