"""What an evaluation is made of: all that is decided before any work."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_collections

from distortion_removal import baselines, effects, methods
from distortion_removal import config as run_config
from distortion_removal.datasets import effect_options
from distortion_removal.datasets.tasks import Task
from distortion_removal.errors import UserError
from distortion_removal.evaluation import excerpts as excerpt_files
from distortion_removal.evaluation import fingerprints, parts, scores
from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.sounds import CLEAN
from distortion_removal.log import logger


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

  def store(self, method: str) -> parts.Store:
    """Where a method's scores are until all are there."""
    return parts.Store(self.parts / method, self.fingerprints[method])

  @property
  def parts(self) -> Path:
    """The folder of what is scored so far."""
    return self.folder / "parts"

  def whole_fingerprints(self) -> dict[str, str]:
    """Of every method's scores of all excerpts."""
    return {
      name: parts.fingerprint(own, self.excerpts)
      for name, own in self.fingerprints.items()
    }


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
    run = ml_collections.ConfigDict(run_config.to_dict(run))
    if "evaluation_batch" in config:
      run.evaluation_batch = config.evaluation_batch
    candidates[run.model.name] = methods.network(workdir, run)
  found, left_out = _baselines(config, task)
  candidates |= found
  names, unusable = scores.usable(
    config.metrics,
    sample_rate=config.data.sample_rate,
    channels=config.data.channels,
  )
  label = data_label(config)
  return Plan(
    config=config,
    task=task,
    label=label,
    folder=workdir / "evaluation" / f"{label}_{task.name}",
    network=run.model.name,
    excerpts=excerpts,
    methods=candidates,
    left_out=left_out,
    metrics=names,
    metrics_left_out=unusable,
    fingerprints=fingerprints.of_methods(
      [*candidates, CLEAN], config, run, workdir, task, names
    ),
  )


def _baselines(
  config: ml_collections.ConfigDict, task: Task
) -> tuple[dict[str, methods.Method], dict[str, str]]:
  """The methods of `config.baselines`, and why others are left out."""
  found, left_out = {}, {}
  for name in config.baselines:
    if baselines.get(name).applies_to(task):
      found[name] = methods.baseline(name, config)
    else:
      left_out[name] = f"does not undo {effect_options.effect_of(task).label}"
      logger.info("%s is left out: it %s", name, left_out[name])
  return found, left_out


def data_label(config: ml_collections.ConfigDict) -> str:
  """Names a data set; folders of recordings by where they were prepared."""
  folders = ("audio_folder", "ceg", "paired_folder")
  if config.data.dataset in folders and config.data.data_dir:
    return Path(config.data.data_dir).name
  return config.data.dataset
