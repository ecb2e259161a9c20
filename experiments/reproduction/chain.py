"""The stages that make a task's figures and tables from recordings."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from distortion_removal import config as run_config
from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MAIN = "distortion_removal.main"

# The configuration of each task without a network.
BASELINES = {
  "ceg_overdrive": "mask_ceg_overdrive",
  "ceg_hard_clip": "aspade_ceg_hard_clip",
  "signaltrain": "aspade_signaltrain",
}
NETWORKS = ("demucs", "wave_unet", "crafx", "umx")
# The paper has no CRAFx on SignalTrain.
_LEFT_OUT = {"signaltrain": ("crafx",)}
# All are named, so that the results say which ones do not apply to the task.
_ASKED = '--config.baselines=("ideal_ratio_mask","aspade")'
_NONE = "--config.baselines=()"  # Beside networks: scored and timed once.


@dataclasses.dataclass(frozen=True)
class Options:
  """The results to reproduce, and the data to reproduce them from.

  Attributes:
    task: a key of `BASELINES`.
    workdir: folder for the task's runs and the report.
    networks: names in `NETWORKS`; () for those the paper has on the task.
    path: the recordings; "" if the data set is prepared or needs none.
    dataset: data set to use instead of the task's own; "" for the latter.
    data_dir: folder of data sets; "" for the configuration's.
    smoke: whether everything is shrunk to seconds, on synthetic data.
    overrides: fields of the configurations, such as `--config.steps=500`.
  """

  task: str
  workdir: Path
  networks: tuple[str, ...] = ()
  path: str = ""
  dataset: str = ""
  data_dir: str = ""
  smoke: bool = False
  overrides: tuple[str, ...] = ()


class Stage(NamedTuple):
  """A command of the chain.

  Attributes:
    title: description of the stage.
    command: words after `python -m`.
    result: file or folder that exists once the stage has finished.
    subject: network whose later stages depend on this one; "" for all.
    needs_record: whether the stage counts as finished only if the record says
      so; otherwise the result is enough.
  """

  title: str
  command: tuple[str, ...]
  result: Path
  subject: str = ""
  needs_record: bool = True


def networks(task: str) -> tuple[str, ...]:
  """Returns the networks that the paper has on a task."""
  left_out = _LEFT_OUT.get(task, ())
  return tuple(name for name in NETWORKS if name not in left_out)


def stages(options: Options) -> list[Stage]:
  """Returns the stages of a task in order; the last one makes the report.

  Raises:
    UserError: an override or a name is wrong, or the folder's name has a comma.
  """
  if "," in str(options.workdir):
    raise UserError(
      f"--workdir={options.workdir}: commas separate the runs of a report; "
      "choose a folder without one"
    )
  for word in options.overrides:
    if not re.match(r"--config\.\w.*=", word):
      raise UserError(
        f"{word!r}: only fields of the configuration may follow '--', such as "
        "--config.steps=500"
      )
  for name in options.networks:
    if name not in NETWORKS:
      raise UserError(
        f"unknown network {name!r}: choose from {', '.join(NETWORKS)}"
      )
  names = options.networks or networks(options.task)
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
  words = {
    "dataset": fields["dataset"],
    "task": fields["task"],
    "data-dir": fields["data_dir"],
    "sample-rate": fields["sample_rate"],
    "channels": fields["channels"],
    "excerpt-seconds": fields["excerpt_seconds"],
  }
  if options.path:
    words["path"] = options.path
  return Stage(
    f"prepare {fields['dataset']}",
    (
      "distortion_removal.prepare",
      *(f"--{name}={value}" for name, value in words.items()),
    ),
    Path(builder.data_dir) / "dataset_info.json",
    # With a path, `prepare` must see whether the recordings have changed.
    needs_record=bool(options.path),
  )


def _data(options: Options) -> dict[str, Any]:
  """Returns the fields of `config.data` that identify the data set."""
  config = run_config.sibling(
    str(CONFIGS / "any"), BASELINES[options.task]
  ).get_config("smoke" if options.smoke else "")
  names = (
    "dataset",
    "task",
    "data_dir",
    "sample_rate",
    "channels",
    "excerpt_seconds",
  )
  fields = {name: config.data[name] for name in names}
  for word in _overrides(options):
    name, _, value = word.removeprefix("--config.data.").partition("=")
    if name in fields:
      try:
        fields[name] = type(fields[name])(value)
      except ValueError as error:
        raise UserError(f"{word}: {error}") from None
  return fields


def _train(options: Options, name: str) -> Stage:
  folder = _folder(options, name)
  return Stage(
    f"train {name}",
    (MAIN, *_config(options, name), *_overrides(options)),
    folder / "checkpoints",
    name,
  )


def _evaluate(options: Options, name: str) -> Stage:
  return Stage(
    f"evaluate {name}",
    (MAIN, "--mode=evaluate", *_methods(options, name)),
    _folder(options, name) / "evaluation",
    name,
  )


def _time(options: Options, name: str) -> Stage:
  return Stage(
    f"time {name}",
    (MAIN, "--mode=time", *_methods(options, name)),
    _folder(options, name) / "timing.jsonl",
    name,
  )


def _methods(options: Options, name: str) -> tuple[str, ...]:
  """Returns the words for one network, or for the methods without one."""
  overrides = _overrides(options)
  if name != "baselines":
    return (*_config(options, name), *overrides, _NONE)
  kept = [word for word in overrides if not word.startswith("--config.model.")]
  return (*_config(options, name), _ASKED, *kept)


def _config(options: Options, name: str) -> tuple[str, str]:
  """Returns the words for the configuration and the run's folder."""
  is_network = name != "baselines"
  stem = f"{name}_{options.task}" if is_network else BASELINES[options.task]
  file = os.path.relpath(CONFIGS / f"{stem}.py")
  argument = ":smoke" if options.smoke else ""
  return f"--config={file}{argument}", f"--workdir={_folder(options, name)}"


def _overrides(options: Options) -> tuple[str, ...]:
  """Returns the user's overrides after those that follow from the options."""
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
  """Reports on the runs of this task and on all that were evaluated before."""
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
  return Stage(
    "report",
    (
      MAIN,
      "--mode=report",
      f"--workdirs={','.join(map(str, found))}",
      f"--output={output}",
    ),
    output / "report.md",
    "report",
  )
