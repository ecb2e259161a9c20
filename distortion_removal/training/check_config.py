"""Reads and checks the configuration of a run before anything is computed."""

import json
from collections.abc import Collection
from pathlib import Path

import ml_collections

from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.config import FILE_NAME, flatten, to_dict
from distortion_removal.datasets import augmentation
from distortion_removal.declipping import estimates
from distortion_removal.effects import tasks
from distortion_removal.training import bad_steps, objectives

_POSITIVE = (
  "optimizer.learning_rate",
  "steps",
  "batch_size",
  "accumulate",
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
  "ema_decay",
  "apply.overlap_seconds",
)


def load(workdir: Path) -> ml_collections.ConfigDict:
  """Reads and checks the configuration of the run in `workdir`.

  Raises:
    UserError: `workdir` has no run, or one with an unusable configuration.
  """
  path = workdir / FILE_NAME
  if not path.is_file():
    raise UserError(
      f"{workdir}: no trained run here ({FILE_NAME} is missing); give the "
      "folder that training wrote to, or a model, see restore --list-models"
    )
  try:
    tree = json.loads(path.read_text())
  except ValueError as error:
    raise UserError(f"{path}: not a configuration ({error})") from None
  return from_dict(tree, path)


def from_dict(tree: object, path: Path) -> ml_collections.ConfigDict:
  """Makes a checked configuration from the JSON types that `path` contains.

  Raises:
    UserError: a field is missing or cannot work.
  """
  try:
    config = ml_collections.ConfigDict(tree)
    check(config)
  except UserError as error:
    raise UserError(f"{path}: {error}") from None
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    reason = str(error.args[0] if error.args else error).splitlines()[0]
    raise UserError(f"{path}: not a configuration ({reason})") from None
  return config


def check(config: ml_collections.ConfigDict) -> None:
  """Checks the fields whose mistakes nothing else would report in time.

  Raises:
    UserError: a number or a name cannot work; the message names the field.
  """
  values = flatten(to_dict(config))
  for name in _POSITIVE:
    _require(values[name] > 0, name, values, "must be above 0")
  for name in _NOT_NEGATIVE:
    _require(values[name] >= 0, name, values, "must be 0 or more")
  rate = config.data.sample_rate
  for name in ("data.segment_seconds", "apply.chunk_seconds"):
    is_met = values[name] * rate >= 1
    _require(is_met, name, values, f"must be a sample, {1 / rate} s, or more")
  _require(config.ema_decay < 1, "ema_decay", values, "must be below 1")
  half = config.apply.chunk_seconds / 2
  _require(
    config.apply.overlap_seconds <= half,
    "apply.overlap_seconds",
    values,
    f"must be between 0 and half a chunk, {half} s",
  )
  if config.compute_dtype not in ("float32", "bfloat16"):
    raise UserError(
      f"config.compute_dtype is {config.compute_dtype!r}; choose 'float32' or "
      "'bfloat16'"
    )
  if config.on_nan not in bad_steps.TOLERATED:
    raise UserError(
      f"config.on_nan is {config.on_nan!r}; choose 'stop' or 'skip'"
    )
  tasks.from_config(config.data)
  augmentation.from_config(config.data)
  _check_sources(config.data.sources)
  if config.model.name:  # "": evaluation without a network
    model = models.from_config(config)
    objectives.create(config.objective, model, config.loss)
    if models.takes_rails(config):
      _check_consistent(config)
    if config.pretrain_steps:
      objectives.create("autoencoder", model, config.loss)


def _require(is_met: bool, name: str, values: dict, wanted: str) -> None:
  if not is_met:
    raise UserError(f"config.{name} is {values[name]}; it {wanted}")


def _check_consistent(config: ml_collections.ConfigDict) -> None:
  """Checks a run whose network is told where its audio is clipped."""
  if config.data.channels != 1:
    raise UserError(
      f"config.data.channels is {config.data.channels}; consistent networks "
      "restore channels one by one: set 1"
    )
  task = tasks.from_config(config.data)
  if task.effect not in tasks.HARD_CLIPS:
    raise UserError(
      f"config.model.consistent: {task.name} is not hard clipping; set False"
    )
  if not models.takes_estimates(config):
    if task.clean_peak is not None and config.loss != "neg_si_sdr":
      raise UserError(
        f"config.loss is {config.loss!r}; a consistent network's output is as "
        f"loud as before the clip, and {task.name} does not tell by how much: "
        "set 'neg_si_sdr', which leaves the level open"
      )
    return
  found = estimates.count(config.model.declippers)
  if config.model.fields.estimates != found:
    raise UserError(
      f"config.model.fields.estimates is {config.model.fields.estimates}; "
      f"config.model.declippers make {found}"
    )
  for name, *_ in config.data.clipped.tasks:
    if tasks.get(name).effect not in tasks.HARD_CLIPS:
      raise UserError(
        f"config.data.clipped.tasks: {name} is not hard clipping; choose from "
        "hard_clip and hard_clip_sdr"
      )


def _check_sources(sources: Collection) -> None:
  for item in sources:
    match item:
      case [str(), str(), int() | float()]:
        continue
    raise UserError(
      f"config.data.sources: {item!r}; each is (data set, folder, weight), "
      "such as ('audio_folder', 'data/guitar', 1.0)"
    )
