"""Weights as one file to share, with a model card beside it.

The weights are safetensors, in which nothing can be executed; the card is JSON
and tells what network it is, what it was trained on, and the configuration.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
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
  """Writes the weights of a run that evaluation uses, and the card.

  Args:
    workdir: of the run.
    target: file that ends in `.safetensors`; the card has the same name with
      `.json`.

  Raises:
    UserError: there is no such run, or the name ends otherwise.
  """
  config = check_config.load(workdir)
  variables, step = checkpoint.restore_weights(workdir, _shapes(config))
  save(target, variables, config, step)


def import_run(source: Path, workdir: Path) -> None:
  """Makes a run of a file, to evaluate or to restore with.

  Raises:
    UserError: the file or its card is not to be used, or `workdir` holds a
      run already.
  """
  if run_config.exists(workdir):
    raise UserError(f"{workdir}: holds a run; choose another folder")
  config, step = load_card(source)
  variables = load_weights(source, _shapes(config))
  checkpoint.save_weights(workdir, variables, step)
  run_config.save(config, workdir)


def save(
  target: Path,
  variables: Any,
  config: ml_collections.ConfigDict,
  step: int,
  *,
  origin: str | None = None,
) -> None:
  """Writes a network's variables and their card, beside and renamed.

  Args:
    target: as of `export_run`.
    variables: the network's collections, arrays.
    config: of the run.
    step: of training that they are from.
    origin: where they are from, if not from a training here: what the
      configuration says of task and data is then left out of the card.

  Raises:
    UserError: the name does not end in `.safetensors`, or in the card's place
      lies something else.
  """
  import safetensors.numpy

  _check_suffix(target)
  _check_card_place(target.with_suffix(".json"))
  flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  content = safetensors.numpy.save(arrays)
  digest = hashlib.sha256(content).hexdigest()
  card = _card(config, arrays, step, digest) | _source(config, origin)
  target.parent.mkdir(parents=True, exist_ok=True)
  write_whole(target, content)
  write_whole(target.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load_card(source: Path) -> tuple[ml_collections.ConfigDict, int]:
  """Reads the card of a file: the run's configuration, and its step.

  Raises:
    UserError: file or card is missing, or they do not belong together.
  """
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
  """Reads a network's variables.

  Args:
    source: a file whose card has been read.
    shapes: the variables of its model, as `jax.ShapeDtypeStruct`.

  Returns:
    A tree of NumPy arrays like `shapes`.

  Raises:
    UserError: they are another model's.
  """
  import safetensors.numpy

  flat = safetensors.numpy.load_file(source)
  variables = traverse_util.unflatten_dict(flat, sep="/")
  checkpoint.check_same_model(variables, shapes, source)
  return variables


def _check_suffix(path: Path) -> None:
  if path.suffix != SUFFIX:
    raise UserError(f"{path}: the name of a model ends in {SUFFIX}")


def _check_card_place(path: Path) -> None:
  """Refuses to replace what is not a model card."""
  if path.exists() and '"sha256"' not in path.read_text(errors="replace"):
    raise UserError(
      f"{path}: the model card would go there, but it is another file; choose "
      "another name"
    )


def _shapes(config: ml_collections.ConfigDict) -> Any:
  """The variables of a run's model, abstractly."""
  return models.variable_shapes(models.from_config(config))


def _card(
  config: ml_collections.ConfigDict,
  arrays: dict[str, np.ndarray],
  step: int,
  digest: str,
) -> dict[str, Any]:
  weights = [a for key, a in arrays.items() if key.startswith("params/")]
  return {
    "format": _FORMAT,
    "network": config.model.name,
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "parameters": sum(array.size for array in weights),
    "step": step,
    "sha256": digest,
    "made_by": f"distortion_removal {__version__}, jax {jax.__version__}",
    "config": run_config.to_dict(config),
  }


def _source(
  config: ml_collections.ConfigDict, origin: str | None
) -> dict[str, Any]:
  """What the network has been trained on."""
  if origin is not None:
    return {"origin": origin}
  task = tasks.from_config(config.data)
  effect = effects.get(task.effect)
  return {
    "origin": "trained",
    "task": task.name,
    "task_label": task.label,
    "level": f"{effect.level_label} / {effect.unit}",
    "trained_levels": list(task.train_levels),
    "trained_on": _data_sets(config),
  }


def _data_sets(config: ml_collections.ConfigDict) -> str | list[str]:
  """The data set, or those of a mixture."""
  sources = config.data.get("sources", ())
  return [name for name, *_ in sources] or config.data.dataset
