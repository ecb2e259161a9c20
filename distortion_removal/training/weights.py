"""A network's weights: in a run's folder, or as one file to share.

The file is safetensors, in which nothing can be executed, with a model card
next to it: JSON that says what network it is, where its weights are from, and
the configuration. Weights may be stored as float16 and are float32 again when
they are loaded. A run keeps where its weights are from in origin.json, if they
are not from its own training alone.
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
DTYPES = ("float32", "float16")
_FORMAT = "distortion_removal 1"
_ORIGIN_FILE = "origin.json"
# The fields of a card about where the weights are from.
_ORIGIN_FIELDS = (
  "origin",
  "task",
  "task_label",
  "level",
  "trained_levels",
  "trained_on",
  "initialized_from",
)


def export_run(workdir: Path, target: Path, dtype: str = DTYPES[0]) -> None:
  """Writes the weights of a run that evaluation uses, see `save_model`."""
  config = check_config.load(workdir)
  variables, step = checkpoint.restore_weights(workdir, _shapes(config))
  origin = load_origin(workdir, config)
  save_model(target, variables, config, step, origin=origin, dtype=dtype)


def import_run(source: Path, workdir: Path) -> None:
  """Turns a model file into a run, to evaluate or to restore with."""
  if run_config.exists(workdir):
    raise UserError(f"{workdir}: holds a run; choose another folder")
  config = load_config(source)
  variables, step = load_weights(source, _shapes(config))
  checkpoint.save_weights(workdir, variables, step)
  save_origin(workdir, load_origin(source, config))
  run_config.save(config, workdir)


def save_model(
  target: Path,
  variables: Any,
  config: ml_collections.ConfigDict,
  step: int,
  *,
  origin: dict[str, Any],
  dtype: str = DTYPES[0],
) -> None:
  """Writes a network's variables and their card.

  Args:
    target: file that ends in `.safetensors`; the card has the same name with
      `.json`.
    variables: the network's collections, arrays.
    config: the run's configuration.
    step: training step that the variables are from.
    origin: where they are from, see `load_origin`.
    dtype: one of `DTYPES`, to store the variables as.
  """
  _check_suffix(target)
  place = _card_path(target)
  if place.exists() and '"sha256"' not in place.read_text(errors="replace"):
    raise UserError(
      f"{place}: the model card would go there, but it is another file; choose "
      "another name"
    )
  content = _serialize(variables, dtype)
  card = {
    "format": _FORMAT,
    "network": config.model.name,
    "sample_rate": config.data.sample_rate,
    "channels": config.data.channels,
    "parameters": sum(x.size for x in jax.tree.leaves(variables["params"])),
    "step": step,
    "sha256": hashlib.sha256(content).hexdigest(),
    "made_by": f"distortion_removal {__version__}, jax {jax.__version__}",
    "config": run_config.to_dict(config),
    **origin,
  }
  target.parent.mkdir(parents=True, exist_ok=True)
  write_whole(target, content)
  write_whole(place, json.dumps(card, indent=2) + "\n")


def load_config(source: Path) -> ml_collections.ConfigDict:
  """Reads the configuration of a run's folder, or of a whole model file."""
  if source.suffix != SUFFIX:
    return check_config.load(source)
  card = _load_card(source)
  config = check_config.from_dict(card["config"], _card_path(source))
  with open(source, "rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest()
  if found != card["sha256"]:
    raise UserError(
      f"{source}: damaged, or not the file that {_card_path(source)} belongs "
      "to; copy both again"
    )
  return config


def load_weights(source: Path, shapes: Any) -> tuple[Any, int]:
  """Reads the variables that evaluation uses, a float32 tree like `shapes`.

  Args:
    source: a run's folder, or a model file that `load_config` has read.
    shapes: the variables of the network.

  Returns:
    The variables, and the training step that they are from.
  """
  if source.suffix != SUFFIX:
    return checkpoint.restore_weights(source, shapes)
  flat = {
    key: value.astype(np.float32) if value.dtype == np.float16 else value
    for key, value in safetensors.numpy.load_file(source).items()
  }
  variables = traverse_util.unflatten_dict(flat, sep="/")
  checkpoint.check_same_model(variables, shapes, source)
  return variables, _load_card(source)["step"]


def are_same(*sources: Path) -> bool:
  """Checks whether runs or model files have the same network and weights."""
  configs = [load_config(source) for source in sources]
  if any(run_config.differences(configs[0], other) for other in configs[1:]):
    return False
  shapes = _shapes(configs[0])
  return len({sha256(load_weights(x, shapes)[0]) for x in sources}) == 1


def load_origin(
  source: Path, config: ml_collections.ConfigDict
) -> dict[str, Any]:
  """Returns where weights are from, as fields of a model card.

  Args:
    source: a run's folder, or a model file.
    config: its configuration.

  Returns:
    `origin`, "trained" or a sentence; if trained, on what task and data; and
    what the training was `initialized_from`, if not from random weights.
  """
  if source.suffix == SUFFIX:
    card = _load_card(source)
    return {key: card[key] for key in _ORIGIN_FIELDS if key in card}
  path = source / _ORIGIN_FILE
  if not path.exists():
    return origin_of_training(config)
  try:
    return dict(json.loads(path.read_text()))
  except (TypeError, ValueError) as error:
    raise UserError(f"{path}: damaged ({error}); use another copy") from None


def save_origin(workdir: Path, origin: dict[str, Any]) -> None:
  """Keeps in a run's folder where its weights are from."""
  text = json.dumps(origin, indent=2)
  write_whole(workdir / _ORIGIN_FILE, text + "\n")


def sha256(variables: Any) -> str:
  """Returns the checksum of the model file that variables would make."""
  return hashlib.sha256(_serialize(variables)).hexdigest()


def _serialize(variables: Any, dtype: str = DTYPES[0]) -> bytes:
  flat = traverse_util.flatten_dict(jax.device_get(variables), sep="/")
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  if dtype == "float16":
    arrays = {key: _as_float16(key, value) for key, value in arrays.items()}
  return safetensors.numpy.save(arrays)


def _as_float16(name: str, value: np.ndarray) -> np.ndarray:
  """Rounds floats; UserError where they exceed the type's range."""
  if value.dtype != np.float32:
    return value
  largest, limit = np.abs(value).max(initial=0.0), np.finfo(np.float16).max
  if not largest <= limit:
    raise UserError(
      f"{name} has values up to {largest:.3g}, more than float16 can hold "
      f"({limit:.0f}); store this model as float32"
    )
  return value.astype(np.float16)


def _card_path(source: Path) -> Path:
  return source.with_suffix(".json")


def _load_card(source: Path) -> dict[str, Any]:
  """Reads the card of a model file that is there."""
  _check_suffix(source)
  path = _card_path(source)
  for file in (source, path):
    if not file.is_file():
      raise UserError(f"{file}: not there; a model is a {SUFFIX} and a .json")
  try:
    card = json.loads(path.read_text())
    card["step"] = int(card["step"])
    format_, *_ = (card[key] for key in ("format", "config", "sha256"))
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f"{path}: not a model card ({error!r})") from None
  if format_ != _FORMAT:
    raise UserError(f"{path}: format {format_!r}; known is {_FORMAT!r}")
  return card


def _check_suffix(path: Path) -> None:
  if path.suffix != SUFFIX:
    raise UserError(f"{path}: the name of a model ends in {SUFFIX}")


def _shapes(config: ml_collections.ConfigDict) -> Any:
  return models.variable_shapes(models.from_config(config))


def origin_of_training(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns the origin of weights that were trained from random ones."""
  task = tasks.from_config(config.data)
  effect = effects.get(task.effect)
  mixed = [name for name, *_ in config.data.get("sources", ())]
  levels = list(task.train_levels)
  if models.takes_estimates(config):
    # Hybrids have stored pairs, of tasks and levels of their own.
    levels = {name: ends for name, *ends in config.data.clipped.tasks}
  return {
    "origin": "trained",
    "task": task.name,
    "task_label": task.label,
    "level": f"{effect.level_label} / {effect.unit}",
    "trained_levels": levels,
    "trained_on": mixed or config.data.dataset,
  }
