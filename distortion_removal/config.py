"""Reading, storing and comparing the configuration of a run."""

import importlib.util
import json
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import ml_collections

from distortion_removal.common.files import write_whole

FILE_NAME = "config.json"
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
  write_whole(workdir / FILE_NAME, text + "\n")


def exists(workdir: Path) -> bool:
  """Whether a run has been started in `workdir`."""
  return (workdir / FILE_NAME).is_file()


def differences(
  stored: ml_collections.ConfigDict,
  given: ml_collections.ConfigDict,
  ignored: Collection[str] = (),
) -> list[str]:
  """The fields in which two configurations differ, a phrase for each.

  Args:
    stored: one of them.
    given: the other.
    ignored: top fields that may differ.
  """
  old, new = (_flatten(to_dict(x)) for x in (stored, given))
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
