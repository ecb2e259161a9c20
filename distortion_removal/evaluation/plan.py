"""The plan of an evaluation: all that is decided before any work."""

import dataclasses
import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jax
import ml_collections

from distortion_removal import config as run_config
from distortion_removal import declipping, effects, metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.datasets import opening
from distortion_removal.datasets.opening import Source
from distortion_removal.effects import tasks
from distortion_removal.effects.tasks import Task
from distortion_removal.evaluation import baselines, methods, scores
from distortion_removal.evaluation.excerpts import Excerpt, identify
from distortion_removal.evaluation.methods import Method
from distortion_removal.evaluation.store import ScoreStore, digest
from distortion_removal.report.methods import CLEAN, DISTORTED
from distortion_removal.training import check_config, checkpoint

# One method's estimates of a block: as many are in memory at a time.
_BLOCK_BYTES = 1 << 27
_MAX_BLOCK_EXCERPTS = 8
_LIBRARIES = ("jax", "numpy", "scipy")


@dataclasses.dataclass(frozen=True)
class Plan:
  """One evaluation.

  Attributes:
    config: the data set, the metrics and the baselines.
    task: the task that is evaluated.
    label: the data set's label.
    folder: the folder of the results.
    network: the name of the run's network, or "".
    excerpts: the test split.
    methods: functions by name, in the order of the results.
    left_out: methods that do not apply, and why.
    metrics: names of the metrics.
    metrics_left_out: metrics that cannot be computed here, and why.
    stores: stored scores by method, and those of the target, `CLEAN`.
  """

  config: ml_collections.ConfigDict
  task: Task
  label: str
  folder: Path
  network: str
  excerpts: Sequence[Excerpt]
  methods: Mapping[str, Method]
  left_out: Mapping[str, str]
  metrics: Sequence[str]
  metrics_left_out: Mapping[str, str]
  stores: Mapping[str, ScoreStore]

  @property
  def level_name(self) -> str:
    """The column of the level in the results."""
    return effects.get(self.task.effect).level_name

  @property
  def sample_rate(self) -> int:
    """The rate of all audio in Hz."""
    return self.config.data.sample_rate

  @property
  def longest_samples(self) -> int:
    """Samples of a full excerpt."""
    return round(self.config.data.excerpt_seconds * self.sample_rate)

  @property
  def block_size(self) -> int:
    """The most excerpts of a block."""
    levels = len(self.task.evaluation_levels)
    channels = self.config.data.channels
    excerpt_bytes = levels * self.longest_samples * channels * 4
    fitting = max(1, _BLOCK_BYTES // excerpt_bytes)
    return min(fitting, _MAX_BLOCK_EXCERPTS, len(self.excerpts))

  def blocks(self) -> list[Sequence[Excerpt]]:
    """Splits the excerpts into blocks that are in memory together."""
    starts = range(0, len(self.excerpts), self.block_size)
    return [self.excerpts[k : k + self.block_size] for k in starts]


def find_run(
  workdir: Path, config: ml_collections.ConfigDict | None
) -> tuple[ml_collections.ConfigDict, ml_collections.ConfigDict]:
  """Finds the run in `workdir`; a configuration without a network needs none.

  Returns:
    The configuration of the run, and that of the evaluation: the run's own
    where `config` is None.

  Raises:
    UserError: there is no run, or the data's form is not the model's.
  """
  needed = config is None or config.model.name
  if needed or run_config.exists(workdir):
    run = check_config.load(workdir)
  else:
    check_config.check(config)
    run = config
  config = run if config is None else config
  check_evaluation_fields(config)
  for field in ("sample_rate", "channels"):
    model, data = run.data[field], config.data[field]
    if model != data:
      raise UserError(
        f"the model was trained at {field} {model}, the data set has {data}; "
        f"give --config.data.{field}={model}"
      )
  return run, config


def check_evaluation_fields(config: ml_collections.ConfigDict) -> None:
  """Checks the fields of a configuration that only evaluation reads.

  Raises:
    UserError: a number or a name cannot work; the message names the field.
  """
  for field, least in (("evaluation_batch", 1), ("listen_excerpts", 0)):
    if not config[field] >= least:
      raise UserError(
        f"config.{field} is {config[field]}; it must be {least} or more"
      )
  for name in config.metrics:
    metrics.get(name)
  for name in config.baselines:
    baselines.get(name)
    if name in declipping.DECLIPPERS:
      try:
        declipping.check_options(name, config.get(name, {}))
      except UserError as error:
        raise UserError(f"config.{name}: {error}") from None


def make_plan(
  workdir: Path,
  config: ml_collections.ConfigDict,
  run: ml_collections.ConfigDict,
  source: Source,
) -> Plan:
  """Decides what is evaluated, and loads the network.

  Raises:
    UserError: there are no excerpts, or no weights.
  """
  surveyed = [identify(source, index) for index in range(len(source))]
  if not surveyed:
    raise UserError(f"the test split of {config.data.dataset} is empty")
  task = tasks.from_config(config.data)
  chosen = {DISTORTED: methods.distorted}
  if name := run.model.name:
    batch = config.evaluation_batch
    chosen[name] = methods.network(workdir, run, batch, task)
  names, metrics_left_out = scores.usable(
    config.metrics, config.data.sample_rate, config.data.channels
  )
  label = opening.label(config.data)
  known = [*chosen, *baselines.BASELINES, CLEAN]
  fingerprints = _fingerprints(known, config, run, workdir, task, names)
  folder = workdir / "evaluation" / f"{label}_{task.name}"
  parts = folder.parent / "parts" / folder.name
  stores = {k: ScoreStore(parts, k, x) for k, x in fingerprints.items()}
  left_out = _left_out(config.baselines, task)
  asked = [name for name in config.baselines if name not in left_out]
  # A baseline that is not asked for this time stays in the results while its
  # scores are valid: hours of A-SPADE are not lost.
  kept = [
    name
    for name in baselines.BASELINES
    if name not in asked and all(map(stores[name].load, surveyed))
  ]
  chosen |= {x: methods.baseline(x, config) for x in (*asked, *kept)}
  return Plan(
    config=config,
    task=task,
    label=label,
    folder=folder,
    network=run.model.name,
    excerpts=surveyed,
    methods=chosen,
    left_out=left_out,
    metrics=names,
    metrics_left_out=metrics_left_out,
    stores={name: stores[name] for name in (*chosen, CLEAN)},
  )


def _left_out(names: Iterable[str], task: Task) -> dict[str, str]:
  """Returns the baselines that do not undo the task's effect, and why."""
  why = f"does not undo {tasks.effect_of(task).label}"
  found = {x: why for x in names if not baselines.get(x).applies_to(task)}
  for name in found:
    logger.info("%s is left out: it %s", name, why)
  return found


def _fingerprints(
  names: Iterable[str],
  config: ml_collections.ConfigDict,
  run: ml_collections.ConfigDict,
  workdir: Path,
  task: Task,
  metric_names: Iterable[str],
) -> dict[str, str]:
  """Digests all that each method's scores depend on, except the excerpt."""
  common = {
    "code": _code(),
    "libraries": {x: importlib.metadata.version(x) for x in _LIBRARIES},
    "device": jax.devices()[0].device_kind,
    "task": dataclasses.asdict(task),
    "data": [config.data[x] for x in ("sample_rate", "channels")],
    "excerpt_seconds": config.data.excerpt_seconds,
    "metrics": {name: metrics.get(name).settings for name in metric_names},
    "sounds": config.listen_excerpts,
  }
  options = run_config.to_dict(config)
  found = {}
  for name in names:
    specific = options.get(name, {})
    if name == run.model.name:
      trained = run_config.to_dict(run)
      fields = ("model", "compute_dtype", "apply", "data")
      specific = {field: trained[field] for field in fields}
      specific["weights"] = checkpoint.digest(workdir)
    found[name] = digest([name, common, specific])
  return found


@functools.cache
def _code() -> str:
  """Digests this package's source."""
  found = hashlib.blake2b(digest_size=16)
  root = Path(__file__).parents[1]
  for path in sorted(root.rglob("*.py")):
    found.update(str(path.relative_to(root)).encode())
    found.update(path.read_bytes())
  return found.hexdigest()
