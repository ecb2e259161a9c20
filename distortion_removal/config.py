"""Loads config files; stores and compares the configurations of runs."""

import importlib.util
import json
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from distortion_removal.common.errors import look_up
from distortion_removal.common.files import write_whole

FILE_NAME = "config.json"
# A link to the checkout's configs/, a folder where the package is installed.
FOLDER = Path(__file__).parent / "configs"
# How long a run is, and how it is watched, fed, applied and evaluated: it may
# resume with other values. All other fields are its identity.
CHANGEABLE_FIELDS = (
  "steps",
  "log_every",
  "validate_every",
  "checkpoint_every",
  "on_nan",
  "accumulate",
  "remat",
  "validation_examples",
  "data.workers",
  "data.hint",
  "data.clipped.minutes",
  "apply",
  "metrics",
  "baselines",
  "aspade",
  "sspade",
  "social_sparsity",
  "janssen",
  "listen_excerpts",
  "evaluation_batch",
)


def find(name: str) -> str:
  """Returns the file that `--config` means, with what follows its ':'.

  A file of the user's own comes before one that comes with the package, which
  is found from any folder: as configs/NAME.py or NAME.

  Raises:
    UserError: the name is no path, and nothing comes along by it.
  """
  file, colon, argument = name.partition(":")
  path = Path(file)
  if path.is_file():
    return name
  shipped = FOLDER / f"{path.stem}.py"
  if path.parent == Path("configs") and shipped.is_file():
    return f"{shipped}{colon}{argument}"
  if file and path.name == file and not path.suffix:
    known = {path.stem: path for path in FOLDER.glob("*.py")}
    return f"{look_up(known, 'config', file)}{colon}{argument}"
  return name


def sibling(file: str, name: str) -> ModuleType:
  """Loads the config module `name`, a path relative to the folder of `file`.

  A config states only what it changes in another one. Unlike
  `import configs.default`, this finds that one from any working directory.
  """
  path = Path(file).parent / f"{name}.py"
  label = f"_config_{name.replace('/', '_')}"
  spec = importlib.util.spec_from_file_location(label, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def to_dict(config: ml_collections.ConfigDict) -> dict:
  """Returns the configuration as plain JSON types (tuples become lists)."""
  return json.loads(config.to_json_best_effort())


def save(config: ml_collections.ConfigDict, workdir: Path) -> None:
  """Writes the configuration into `workdir`."""
  text = json.dumps(to_dict(config), indent=2, sort_keys=True)
  write_whole(workdir / FILE_NAME, text + "\n")


def exists(workdir: Path) -> bool:
  """Returns whether a run was started in `workdir`."""
  return (workdir / FILE_NAME).is_file()


def differences(
  stored: ml_collections.ConfigDict,
  given: ml_collections.ConfigDict,
  ignored: Collection[str] = (),
) -> dict[str, tuple[Any, Any]]:
  """Returns the fields in which two configurations differ, by dotted name.

  Args:
    stored: the configuration of a run.
    given: the one to compare with it.
    ignored: fields, or groups of them, that may differ.

  Returns:
    Both values of each field; "(absent)" where one has no such field.
  """
  old, new = (flatten(to_dict(config)) for config in (stored, given))
  missing = "(absent)"
  pairs = {
    key: (old.get(key, missing), new.get(key, missing))
    for key in sorted(old.keys() | new.keys())
    if not any(f"{key}.".startswith(f"{name}.") for name in ignored)
  }
  return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def flatten(tree: dict, prefix: str = "") -> dict:
  """Returns the leaves of nested dictionaries by dotted names."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat
