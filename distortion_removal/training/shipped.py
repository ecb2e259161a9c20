"""The models that come with the package, by name.

Each is a model file in `weights/`, see `weights`, and has a card NAME.md for
people: what it was trained on, what it scores, what it is bad at, and whose
recordings it has learnt from.
"""

import json
from pathlib import Path

from distortion_removal import config as run_config
from distortion_removal.common import devices
from distortion_removal.common.errors import UserError
from distortion_removal.effects import tasks
from distortion_removal.training import check_config, weights

FOLDER = Path(__file__).parents[1] / "weights"


def names() -> list[str]:
  """Returns the names of all models that come along."""
  return sorted(path.stem for path in FOLDER.glob(f"*{weights.SUFFIX}"))


def find(name: str | Path) -> Path:
  """Returns the run's folder or the model file that a name stands for.

  A run, or a file, of the user's own comes before a model of the same name.

  Raises:
    UserError: there is neither; the message has the names.
  """
  path = Path(name)
  is_own = path.suffix == weights.SUFFIX or run_config.exists(path)
  if not is_own and str(path) in names():
    return FOLDER / f"{path}{weights.SUFFIX}"
  if is_own or (str(name) and path.exists()):
    return path
  raise UserError(
    f"{name}: no trained run here, no model file, and no model that comes with "
    f"the package; its models: {', '.join(names())}"
  )


def as_run(name: Path) -> Path:
  """Returns the folder of a run; a model becomes one in runs/.

  All that works on a run takes its folder, and results get a place. What is
  neither a model file nor a shipped model's name is returned as it is.

  Raises:
    UserError: the model is damaged, or that folder holds other weights.
  """
  is_model = name.suffix == weights.SUFFIX or str(name) in names()
  if not is_model or run_config.exists(name):
    return name
  source = find(name)
  workdir = Path("runs") / source.stem
  if devices.process()[1] > 1:
    raise UserError(
      f"{name}: several processes share a run's folder; make one of the model "
      f"first: python -m distortion_removal.model_file {name} -o {workdir}"
    )
  if not run_config.exists(workdir):
    weights.import_run(source, workdir)
  elif not weights.are_same(source, workdir):
    raise UserError(
      f"{workdir}: holds another run than {name}, whose results would go "
      "there; rename one of them"
    )
  return workdir


def describe() -> str:
  """Returns a line for each model: name, task, rate and size."""
  lines = []
  for name in names():
    file = FOLDER / f"{name}{weights.SUFFIX}"
    card = json.loads(file.with_suffix(".json").read_text())
    config = check_config.from_dict(card["config"], file.with_suffix(".json"))
    effect = tasks.effect_of(tasks.from_config(config.data)).label
    rate_khz, megabytes = card["sample_rate"] / 1e3, file.stat().st_size / 1e6
    lines.append(f"{name}  {effect}, {rate_khz:g} kHz, {megabytes:.1f} MB")
  return "\n".join(lines)
