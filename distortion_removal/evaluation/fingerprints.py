"""What scores depend on, of which a change makes them be computed anew.

Each is a digest. Two commands with equal ones give the same scores, but for
rounding and what times the machine takes.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import ml_collections

from distortion_removal import config as run_config
from distortion_removal import metrics
from distortion_removal.effects.tasks import Task
from distortion_removal.training import checkpoint

_LIBRARIES = ("jax", "numpy", "scipy")


def of_methods(
  methods: Sequence[str],
  config: ml_collections.ConfigDict,
  run: ml_collections.ConfigDict,
  workdir: Path,
  task: Task,
  metric_names: Sequence[str],
) -> dict[str, str]:
  """Of each method, all that its scores of an excerpt depend on.

  Args:
    methods: their names.
    config: of the evaluation.
    run: configuration of the trained run.
    workdir: of the run.
    task: that is evaluated.
    metric_names: of the metrics.
  """
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
  return {
    name: _digest([name, common, _own(name, config, run, workdir)])
    for name in methods
  }


def _own(
  name: str,
  config: ml_collections.ConfigDict,
  run: ml_collections.ConfigDict,
  workdir: Path,
) -> Mapping:
  """What one method depends on."""
  if name and name == run.model.name:
    stored = run_config.to_dict(run)
    fields = ("model", "compute_dtype", "apply", "data")
    weights = checkpoint.digest(workdir)
    return {field: stored[field] for field in fields} | {"weights": weights}
  return run_config.to_dict(config).get(name, {})


def _digest(content: object) -> str:
  text = json.dumps(content, sort_keys=True, default=str)
  return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@functools.cache
def _code() -> str:
  """Of this package's own source."""
  digest = hashlib.blake2b(digest_size=16)
  root = Path(__file__).parents[1]
  for path in sorted(root.rglob("*.py")):
    digest.update(str(path.relative_to(root)).encode())
    digest.update(path.read_bytes())
  return digest.hexdigest()
