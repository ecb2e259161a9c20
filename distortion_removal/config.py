"""Reading, storing and comparing the configuration of a run."""

import dataclasses
import importlib.util
import json
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType

import ml_collections

from distortion_removal import baselines, metrics, models, objectives
from distortion_removal.datasets import augmentation, tasks
from distortion_removal.datasets.augmentation import Augmentation
from distortion_removal.datasets.effect_options import EffectOptions
from distortion_removal.errors import UserError
from distortion_removal.files import write_whole

_FILE_NAME = "config.json"
# Training is the same run whatever these are.
EVALUATION_FIELDS = (
  "metrics",
  "baselines",
  "aspade",
  "sspade",
  "social_sparsity",
  "listen_excerpts",
  "evaluation_batch",
)

# What a run of an earlier version does that lacks these fields.
_ADDED = {
  "data": {
    "sources": (),
    "augment": dataclasses.asdict(Augmentation()),
    "effect": dataclasses.asdict(EffectOptions()),
  }
}


def sibling(file: str, name: str) -> ModuleType:
  """Loads the configuration module `name` that lies beside, or below, `file`.

  A config states only what it changes from another one. Loading that by its
  place beside `file` works from any folder, unlike `import configs.default`.
  """
  path = Path(file).parent / f"{name}.py"
  label = f"_config_{name.replace('/', '_')}"
  spec = importlib.util.spec_from_file_location(label, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def to_dict(config: ml_collections.ConfigDict) -> dict:
  """The configuration as plain JSON types (tuples become lists)."""
  return json.loads(config.to_json_best_effort())


def save(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Writes the configuration into `workdir`."""
  text = json.dumps(to_dict(config), indent=2, sort_keys=True)
  write_whole(workdir / _FILE_NAME, text + "\n")


def load(workdir: Path) -> ml_collections.ConfigDict:
  """Reads the configuration of the run that lies in `workdir`.

  Raises:
    UserError: there is no run in `workdir`.
  """
  path = workdir / _FILE_NAME
  if not path.is_file():
    raise UserError(
      f"{workdir}: no trained run here ({_FILE_NAME} is missing); "
      "give the --workdir that training wrote to"
    )
  try:
    tree = json.loads(path.read_text())
  except ValueError as error:
    raise UserError(f"{path}: not a configuration ({error})") from None
  return from_dict(tree, path)


def from_dict(tree: object, path: Path) -> ml_collections.ConfigDict:
  """A stored configuration, checked.

  Args:
    tree: of plain JSON types, as from `to_dict`.
    path: where it was found.

  Raises:
    UserError: it is none, or not one of this version.
  """
  try:
    config = ml_collections.ConfigDict(tree)
    check(config)
  except UserError as error:
    raise UserError(f"{path}: {error}") from None
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    reason = str(error.args[0] if error.args else error).splitlines()[0]
    raise UserError(
      f"{path}: not a configuration of this version ({reason}); train again"
    ) from None
  return config


def check(config: ml_collections.ConfigDict) -> None:
  """Checks what nothing else would catch in time.

  Raises:
    UserError: a number or a name cannot work; the message tells which.
  """
  _require(config, lambda value: value > 0, "above 0", _POSITIVE)
  _require(config, lambda value: value >= 0, "0 or more", _NOT_NEGATIVE)
  if not config.get("evaluation_batch", 1) >= 1:  # not in earlier versions
    raise UserError(
      f"config.evaluation_batch is {config.evaluation_batch}; it must be 1 or "
      "more"
    )
  rate, chunks = config.data.sample_rate, config.apply
  for name in ("data.segment_seconds", "apply.chunk_seconds"):
    value = _field(config, name)
    if not value * rate >= 1:
      raise UserError(f"config.{name} is {value}; a sample is {1 / rate} s")
  if not config.ema_decay < 1:
    raise UserError(f"config.ema_decay is {config.ema_decay}; it must be < 1")
  if config.compute_dtype not in ("float32", "bfloat16"):
    raise UserError(
      f"config.compute_dtype is {config.compute_dtype!r}; choose 'float32' or "
      "'bfloat16'"
    )
  tasks.from_config(config.data)
  augmentation.from_config(config.data)
  _check_sources(config.data.get("sources") or ())
  if config.model.name:  # "": evaluation without a network
    model = models.from_config(config)
    objectives.get(config.objective, model, config.loss)
    if config.pretrain_steps:
      objectives.get("autoencoder", model, config.loss)
  for name in config.metrics:
    metrics.get(name)
  for name in config.baselines:
    baselines.get(name)
    if name in baselines.DECLIPPERS:
      _check_declipper(config, name)
  if not chunks.overlap_seconds <= chunks.chunk_seconds / 2:
    raise UserError(
      f"config.apply.overlap_seconds is {chunks.overlap_seconds}; it must lie "
      f"between 0 and half of the chunk, {chunks.chunk_seconds / 2}"
    )


def _check_sources(sources: Collection) -> None:
  for item in sources:
    fits = (
      isinstance(item, list | tuple)
      and len(item) == 3
      and all(isinstance(text, str) for text in item[:2])
      and isinstance(item[2], int | float)
    )
    if not fits:
      raise UserError(
        f"config.data.sources: {item!r}; each is (data set, folder, weight), "
        "such as ('audio_folder', 'data/guitar', 1.0)"
      )


def _check_declipper(config: ml_collections.ConfigDict, name: str) -> None:
  try:
    baselines.check_options(name, config.get(name, {}))
  except UserError as error:
    raise UserError(f"config.{name}: {error}") from None


_POSITIVE = (
  "optimizer.learning_rate",
  "steps",
  "batch_size",
  "log_every",
  "validate_every",
  "checkpoint_every",
  "validation_pairs",
  "data.sample_rate",
  "data.channels",
  "data.excerpt_seconds",
)
_NOT_NEGATIVE = (
  "seed",
  "data.workers",
  "pretrain_steps",
  "listen_excerpts",
  "ema_decay",
  "apply.overlap_seconds",
)


def _require(
  config: ml_collections.ConfigDict,
  holds: Callable[[float], bool],
  wanted: str,
  names: tuple[str, ...],
) -> None:
  for name in names:
    value = _field(config, name)
    if not holds(value):
      raise UserError(f"config.{name} is {value}; it must be {wanted}")


def _field(config: ml_collections.ConfigDict, name: str) -> float:
  for part in name.split("."):
    config = config[part]
  return config


def exists(workdir: Path) -> bool:
  """Whether a run has been started in `workdir`."""
  return (workdir / _FILE_NAME).is_file()


def differences(
  stored: ml_collections.ConfigDict,
  given: ml_collections.ConfigDict,
  ignored: Collection[str] = (),
) -> list[str]:
  """The fields in which two configurations differ, a phrase for each.

  One of an earlier version, which lacks a field, is as it was without.

  Args:
    stored: one of them.
    given: the other.
    ignored: top fields that may differ.
  """
  added = to_dict(ml_collections.ConfigDict(_ADDED))
  old, new = (_flatten(added) | _flatten(to_dict(x)) for x in (stored, given))
  missing = "(absent)"
  return [
    f"{key}: {old.get(key, missing)!r} there, {new.get(key, missing)!r} given"
    for key in sorted(old.keys() | new.keys())
    if old.get(key, missing) != new.get(key, missing)
    and key.partition(".")[0] not in ignored
  ]


def _flatten(tree: dict, prefix: str = "") -> dict:
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= _flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat
