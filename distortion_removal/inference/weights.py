"""A network as one file to share, with a model card next to it.

The weights are safetensors, in which nothing can be executed; the card is JSON
and says what network it is, what it was trained on, and the configuration.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import safetensors.numpy
from flax import traverse_util

from distortion_removal import __version__, effects, models
from distortion_removal import config as run_config
from distortion_removal.common.errors import UserError
from distortion_removal.common.files import write_whole
from distortion_removal.effects import tasks
from distortion_removal.training import check_config, checkpoint

SUFFIX = ".safetensors"
_FORMAT = "distortion_removal 1"


def export_run(workdir: Path, target: Path) -> None:
  """Writes the weights of a run that evaluation uses, see `save_model`."""
  config = check_config.load(workdir)
  variables, step = checkpoint.restore_weights(workdir, _shapes(config))
  save_model(target, variables, config, step)


def import_run(source: Path, workdir: Path) -> None:
  """Turns a model file into a run, to evaluate or to restore with."""
  if run_config.exists(workdir):
    raise UserError(f"{workdir}: holds a run; choose another folder")
  config, step = load_card(source)
  variables = load_weights(source, _shapes(config))
  checkpoint.save_weights(workdir, variables, step)
  run_config.save(config, workdir)


def save_model(
  target: Path,
  variables: Any,
  config: ml_collections.ConfigDict,
  step: int,
  *,
  origin: str | None = None,
) -> None:
  """Writes a network's variables and their card.

  Args:
    target: file that ends in `.safetensors`; the card has the same name with
      `.json`.
    variables: the network's collections, arrays.
    config: the run's configuration.
    step: training step that the variables are from.
    origin: where they are from, if not from a training here: task and data of
      the configuration are then left out of the card.
  """
  _check_suffix(target)
  place = target.with_suffix(".json")
  if place.exists() and '"sha256"' not in place.read_text(errors="replace"):
    raise UserError(
      f"{place}: the model card would go there, but it is another file; choose "
      "another name"
    )
  flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  content = safetensors.numpy.save(arrays)
  card = {
    "format": _FORMAT,
    "network": config.model.name,
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "parameters": sum(
      array.size for key, array in arrays.items() if key.startswith("params/")
    ),
    "step": step,
    "sha256": hashlib.sha256(content).hexdigest(),
    "made_by": f"distortion_removal {__version__}, jax {jax.__version__}",
    "config": run_config.to_dict(config),
  }
  card |= {"origin": origin} if origin is not None else _training(config)
  target.parent.mkdir(parents=True, exist_ok=True)
  write_whole(target, content)
  write_whole(place, json.dumps(card, indent=2) + "\n")


def load_card(source: Path) -> tuple[ml_collections.ConfigDict, int]:
  """Reads the card of a file: the run's configuration, and its step."""
  _check_suffix(source)
  path = source.with_suffix(".json")
  for file in (source, path):
    if not file.is_file():
      raise UserError(f"{file}: not there; a model is a {SUFFIX} and a .json")
  try:
    card = json.loads(path.read_text())
    format_, tree, digest = (card[k] for k in ("format", "config", "sha256"))
    step = int(card["step"])
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f"{path}: not a model card ({error!r})") from None
  if format_ != _FORMAT:
    raise UserError(f"{path}: format {format_!r}; known is {_FORMAT!r}")
  config = check_config.from_dict(tree, path)
  with open(source, "rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest()
  if found != digest:
    raise UserError(
      f"{source}: damaged, or not the file that {path} belongs to; copy both "
      "again"
    )
  return config, step


def load_weights(source: Path, shapes: Any) -> Any:
  """Reads the variables, a tree like `shapes`, of a file with a good card."""
  flat = safetensors.numpy.load_file(source)
  variables = traverse_util.unflatten_dict(flat, sep="/")
  checkpoint.check_same_model(variables, shapes, source)
  return variables


def _check_suffix(path: Path) -> None:
  if path.suffix != SUFFIX:
    raise UserError(f"{path}: the name of a model ends in {SUFFIX}")


def _shapes(config: ml_collections.ConfigDict) -> Any:
  return models.variable_shapes(models.from_config(config))


def _training(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns the card's fields about the data of the training."""
  task = tasks.from_config(config.data)
  effect = effects.get(task.effect)
  mixed = [name for name, *_ in config.data.get("sources", ())]
  return {
    "origin": "trained",
    "task": task.name,
    "task_label": task.label,
    "level": f"{effect.level_label} / {effect.unit}",
    "trained_levels": list(task.train_levels),
    "trained_on": mixed or config.data.dataset,
  }
