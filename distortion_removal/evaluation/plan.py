"""What an evaluation is made of: all that is decided before any work."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_collections

from distortion_removal import config as run_config
from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.evaluation import (
  baselines,
  fingerprints,
  methods,
  scores,
  store,
)
from distortion_removal.evaluation import excerpts as excerpt_files
from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.training import check_config


@dataclasses.dataclass(frozen=True)
class Plan:
  """One evaluation.

  Attributes:
    config: the data set, the metrics and the baselines.
    task: what was done to the audio.
    label: of the data set.
    folder: of the results.
    network: name of the run's network, or "".
    excerpts: of the test split.
    methods: by name, in the order of the results.
    left_out: methods that do not apply, and why.
    metrics: names of the metrics.
    metrics_left_out: those that cannot be computed here, and why.
    fingerprints: of the methods and of the target, `CLEAN`.
  """

  config: ml_collections.ConfigDict
  task: Task
  label: str
  folder: Path
  network: str
  excerpts: Sequence[Excerpt]
  methods: Mapping[str, methods.Method]
  left_out: Mapping[str, str]
  metrics: Sequence[str]
  metrics_left_out: Mapping[str, str]
  fingerprints: Mapping[str, str]

  @property
  def level_name(self) -> str:
    """The column for the level."""
    return effects.get(self.task.effect).level_name

  @property
  def sample_rate(self) -> int:
    """Of all audio, in Hz."""
    return self.config.data.sample_rate

  @property
  def longest(self) -> int:
    """The most samples of an excerpt."""
    return round(self.config.data.excerpt_seconds * self.sample_rate)

  @property
  def block_size(self) -> int:
    """Excerpts that are worked on at a time."""
    levels = len(self.task.evaluation_levels)
    size = excerpt_files.block_size(
      levels, self.longest, self.config.data.channels
    )
    return min(size, len(self.excerpts))

  def blocks(self) -> list[Sequence[Excerpt]]:
    """All excerpts, as many as are worked on at a time."""
    return excerpt_files.blocks(self.excerpts, self.block_size)

  def groups(
    self, method: str, block: Sequence[Excerpt]
  ) -> list[Sequence[Excerpt]]:
    """What of a block goes through a method, and is stored, at a time."""
    size = methods.excerpts_at_a_time(method, len(block))
    return excerpt_files.blocks(block, size)

  def store(self, method: str) -> store.Store:
    """Where a method's scores are until all are there."""
    return store.Store(self.parts / method, self.fingerprints[method])

  @property
  def parts(self) -> Path:
    """The folder of what is scored so far."""
    return self.folder / "parts"

  def whole_fingerprints(self) -> dict[str, str]:
    """Of every method's scores of all excerpts."""
    return {
      name: store.fingerprint(own, self.excerpts)
      for name, own in self.fingerprints.items()
    }


def find_run(
  workdir: Path, config: ml_collections.ConfigDict | None
) -> tuple[ml_collections.ConfigDict, ml_collections.ConfigDict]:
  """The run in `workdir`, or a configuration that can do without.

  Args:
    workdir: of the run.
    config: of the evaluation; None: the run's own.

  Returns:
    The configuration of the run, and that of the evaluation.

  Raises:
    UserError: no run, or data of another form than the model's.
  """
  needed = config is None or config.model.name
  if needed or run_config.exists(workdir):
    run = check_config.load(workdir)
  else:
    check_config.check(config)
    run = config
  config = run if config is None else config
  baselines.check(config)
  for field in ("sample_rate", "channels"):
    model, data = run.data[field], config.data[field]
    if model != data:
      raise UserError(
        f"the model was trained at {field} {model}, the data set has {data}; "
        f"give --config.data.{field}={model}"
      )
  return run, config


def make(
  workdir: Path,
  config: ml_collections.ConfigDict,
  run: ml_collections.ConfigDict,
  task: Task,
  excerpts: Sequence[Excerpt],
) -> Plan:
  """Decides what is evaluated, and loads the network.

  Args:
    workdir: of the run.
    config: names the data set, task, metrics and baselines.
    run: of the network, if it has one.
    task: of `config`.
    excerpts: of the test split.

  Raises:
    UserError: there are no excerpts, or no weights.
  """
  if not excerpts:
    raise UserError(f"the test split of {config.data.dataset} is empty")
  candidates = {"distorted": methods.distorted}
  if run.model.name:
    batch = config.evaluation_batch
    candidates[run.model.name] = methods.network(workdir, run, batch)
  names, unusable = scores.usable(
    config.metrics,
    sample_rate=config.data.sample_rate,
    channels=config.data.channels,
  )
  found, left_out = _baselines(config, task)
  label = opening.label(config.data)
  folder = workdir / "evaluation" / f"{label}_{task.name}"
  own = fingerprints.of_methods(
    [*candidates, *baselines.BASELINES, CLEAN],
    config,
    run,
    workdir,
    task,
    names,
  )
  for name in _held(folder, own, excerpts):
    found.setdefault(name, methods.baseline(name, config))
  candidates |= found
  return Plan(
    config=config,
    task=task,
    label=label,
    folder=folder,
    network=run.model.name,
    excerpts=excerpts,
    methods=candidates,
    left_out=left_out,
    metrics=names,
    metrics_left_out=unusable,
    fingerprints={name: own[name] for name in (*candidates, CLEAN)},
  )


def _held(
  folder: Path, own: Mapping[str, str], excerpts: Sequence[Excerpt]
) -> list[str]:
  """Baselines of the last evaluation whose scores still hold.

  They stay in the results whether or not they are asked for this time: hours of
  A-SPADE are not lost to a command that leaves it out.
  """
  try:
    found = json.loads((folder / "evaluation.json").read_text())
    before = dict(found["fingerprints"])
  except (OSError, ValueError, KeyError, TypeError):
    return []
  return [
    name
    for name in baselines.BASELINES
    if before.get(name) == store.fingerprint(own[name], excerpts)
  ]


def _baselines(
  config: ml_collections.ConfigDict, task: Task
) -> tuple[dict[str, methods.Method], dict[str, str]]:
  """The methods of `config.baselines`, and why others are left out."""
  found, left_out = {}, {}
  for name in config.baselines:
    if baselines.get(name).applies_to(task):
      found[name] = methods.baseline(name, config)
    else:
      left_out[name] = f"does not undo {tasks.effect_of(task).label}"
      logger.info("%s is left out: it %s", name, left_out[name])
  return found, left_out
