"""The stages that make a task's figures and tables from recordings."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from distortion_removal import config as run_config
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.datasets import opening

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MAIN = "distortion_removal.main"

# A configuration of each task that has no network.
BASELINES = {
  "ceg_overdrive": "mask_ceg_overdrive",
  "ceg_hard_clip": "aspade_ceg_hard_clip",
  "signaltrain": "aspade_signaltrain",
}
NETWORKS = ("demucs", "wave_unet", "crafx", "umx")
# The paper has no CRAFx on SignalTrain.
_LEFT_OUT = {"signaltrain": ("crafx",)}
# All are asked for, so that the results tell which one a task leaves out.
_ASKED = '--config.baselines=("ideal_ratio_mask","aspade")'
_DATA_FIELDS = (
  *("dataset", "task", "data_dir", "sample_rate", "channels"),
  "excerpt_seconds",
)
_NONE = "--config.baselines=()"  # Beside networks: scored and timed once.


@dataclasses.dataclass(frozen=True)
class Options:
  """The options of the command line."""

  task: str  # a key of `BASELINES`
  workdir: Path  # gets a folder for the task, and the report
  networks: tuple[str, ...] = ()  # (): those that the paper has on the task
  path: str = ""  # the recordings; "": prepared before, or none are needed
  dataset: str = ""  # in place of the task's own
  data_dir: str = ""  # "": the configuration's
  smoke: bool = False  # seconds of training on synthetic data
  overrides: tuple[str, ...] = ()  # `--config.steps=500` and the like


class Stage(NamedTuple):
  """A command of the chain."""

  title: str
  command: tuple[str, ...]  # what follows `python -m`
  result: Path  # exists once the command has ended
  subject: str = ""  # whose later stages depend on it; "": all
  is_recorded: bool = True  # else the result alone shows that it is finished


def stages(options: Options) -> list[Stage]:
  """Returns the stages of a task in order; the last one makes the report.

  Raises:
    UserError: an override is none, a name is unknown, or the folder's name has
      a comma.
  """
  if "," in str(options.workdir):
    raise UserError(
      f"--workdir={options.workdir}: a comma parts the runs of a report; "
      "choose a folder without one"
    )
  for word in options.overrides:
    if not re.match(r"--config\.\w.*=", word):
      raise UserError(
        f"{word!r}: only fields of the configuration may follow '--', such as "
        "--config.steps=500"
      )
  for name in options.networks:
    look_up(dict.fromkeys(NETWORKS), "network", name)
  left_out = _LEFT_OUT.get(options.task, ())
  names = options.networks or tuple(x for x in NETWORKS if x not in left_out)
  return [
    _prepare(options),
    *(_train(options, name) for name in names),
    *(_evaluate(options, name) for name in names),
    _evaluate(options, "baselines"),
    *(_time(options, name) for name in names),
    _time(options, "baselines"),
    _report(options, names),
  ]


def _prepare(options: Options) -> Stage:
  fields = _data(options)
  builder = opening.open_builder(**fields)
  given = fields | ({"path": options.path} if options.path else {})
  words = [f"--{k.replace('_', '-')}={value}" for k, value in given.items()]
  return Stage(
    f"prepare {fields['dataset']}",
    ("distortion_removal.prepare", *words),
    Path(builder.data_dir) / "dataset_info.json",
    # `prepare` refuses other recordings than those that are prepared already.
    is_recorded=bool(options.path),
  )


def _data(options: Options) -> dict[str, Any]:
  """Returns the fields of `config.data` that `prepare` has as flags."""
  module = run_config.sibling(str(CONFIGS / "any"), BASELINES[options.task])
  data = module.get_config("smoke" if options.smoke else "").data
  fields = {name: data[name] for name in _DATA_FIELDS}
  for word in _overrides(options):
    name, _, value = word.removeprefix("--config.data.").partition("=")
    if name in fields:
      try:
        fields[name] = type(fields[name])(value)
      except ValueError as error:
        raise UserError(f"{word}: {error}") from None
  return fields


def _train(options: Options, name: str) -> Stage:
  command = (MAIN, *_config(options, name), *_overrides(options))
  result = _folder(options, name) / "checkpoints"
  return Stage(f"train {name}", command, result, name)


def _evaluate(options: Options, name: str) -> Stage:
  command = (MAIN, "--mode=evaluate", *_methods(options, name))
  result = _folder(options, name) / "evaluation"
  return Stage(f"evaluate {name}", command, result, name)


def _time(options: Options, name: str) -> Stage:
  command = (MAIN, "--mode=time", *_methods(options, name))
  result = _folder(options, name) / "timing.jsonl"
  return Stage(f"time {name}", command, result, name)


def _methods(options: Options, name: str) -> tuple[str, ...]:
  """Returns the words for one network, or for all methods without one."""
  overrides = _overrides(options)
  if name != "baselines":
    return (*_config(options, name), *overrides, _NONE)
  kept = [word for word in overrides if not word.startswith("--config.model.")]
  return (*_config(options, name), _ASKED, *kept)


def _config(options: Options, name: str) -> tuple[str, str]:
  """Returns the words that name the configuration and the run's folder."""
  is_network = name != "baselines"
  stem = f"{name}_{options.task}" if is_network else BASELINES[options.task]
  file = os.path.relpath(CONFIGS / f"{stem}.py")
  argument = ":smoke" if options.smoke else ""
  return f"--config={file}{argument}", f"--workdir={_folder(options, name)}"


def _overrides(options: Options) -> tuple[str, ...]:
  """Returns the user's overrides after those that other options stand for."""
  words = []
  if options.dataset:
    words.append(f"--config.data.dataset={options.dataset}")
  if options.data_dir or options.dataset:
    data_dir = options.data_dir or f"data/{options.dataset}"
    words.append(f"--config.data.data_dir={data_dir}")
  return (*words, *options.overrides)


def _folder(options: Options, name: str) -> Path:
  return options.workdir / options.task / name


def _report(options: Options, names: tuple[str, ...]) -> Stage:
  """Reports on the runs asked for, and on all that have been evaluated."""
  mine = [_folder(options, name) for name in (*names, "baselines")]
  places = (
    options.workdir / task / name
    for task in BASELINES
    for name in (*NETWORKS, "baselines")
  )
  found = [
    folder
    for folder in places
    if folder in mine or (folder / "evaluation").is_dir()
  ]
  output = options.workdir / "report"
  words = f"--workdirs={','.join(map(str, found))}", f"--output={output}"
  command = (MAIN, "--mode=report", *words)
  return Stage("report", command, output / "report.md", "report")
