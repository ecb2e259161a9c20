"""Checks the configuration of a run, before anything is computed."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import ml_collections

from distortion_removal import config as run_config
from distortion_removal import models
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import augmentation
from distortion_removal.effects import tasks
from distortion_removal.training import objectives


def load(workdir: Path) -> ml_collections.ConfigDict:
  """Reads the configuration of the run that lies in `workdir`.

  Raises:
    UserError: there is no run in `workdir`.
  """
  path = workdir / run_config.FILE_NAME
  if not path.is_file():
    raise UserError(
      f"{workdir}: no trained run here ({run_config.FILE_NAME} is missing); "
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
