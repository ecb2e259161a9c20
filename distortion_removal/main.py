"""Trains, evaluates and reports: `python -m distortion_removal.main …`."""

import itertools
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import NoReturn

from absl import app, flags
from ml_collections import config_flags

from distortion_removal import config
from distortion_removal.common import cores, log
from distortion_removal.common.errors import (
  UserError,
  flags_parser,
  one_line_errors,
)

# The modes, with the lines of `distortion-removal --help`.
MODES = {
  "train": "train a network: --config=FILE [--workdir=FOLDER]",
  "describe": "size, cost and latency of a network: --config=FILE [--table]",
  "evaluate": "score a run, or methods without one: --workdir=FOLDER "
  "[--config=FILE]",
  "time": "speed and memory of a run and its baselines: --workdir=FOLDER",
  "report": "tables, figures and a listening page of runs: --workdirs=A,B "
  "--output=FOLDER",
}

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "Configuration file, or the name of one that comes along, e.g. quickstart; "
  "FILE:smoke shrinks the run to seconds; --config.batch_size=8 overrides a "
  "field.",
)
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of the run; default: runs/NAME_OF_THE_CONFIG. evaluate, time: also a "
  "model, see restore --list-models, which becomes a run in runs/.",
)
_MODE = flags.DEFINE_enum("mode", "train", list(MODES), "What to do.")
_WORKDIRS = flags.DEFINE_list(
  "workdirs", [], "report: folders of evaluated runs, A,B,C."
)
_OUTPUT = flags.DEFINE_string("output", None, "report: folder to write.")
_PAGE_EXCERPTS = flags.DEFINE_integer(
  "page_excerpts", None, "report: excerpts on the listening page; default: all."
)
_PAGE_SECONDS = flags.DEFINE_float(
  "page_seconds", None, "report: length of each sound; default: what fits."
)
_PAGE_LOUDNESS = flags.DEFINE_float(
  "page_loudness", None, "report: LUFS of the sounds; default: the task's."
)
_PAGE_MEGABYTES = flags.DEFINE_float(
  "page_megabytes", 60.0, "report: largest size of the listening page in MB."
)
_PAGE_WAV = flags.DEFINE_bool(
  "page_wav",
  False,
  "report: add WAV files, for browsers that cannot play FLAC from disk.",
)
_TABLE = flags.DEFINE_bool("table", False, "describe: list the layers too.")
_SKIP_DAMAGED = flags.DEFINE_bool(
  "skip_damaged",
  False,
  "train: where the last checkpoint is damaged, remove it and resume from the "
  "one before.",
)
_TRACE_STEPS = flags.DEFINE_string(
  "trace_steps",
  "",
  "train: steps whose profile goes to WORKDIR/trace, the first and the last, "
  "e.g. 100:104.",
)
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed", False, "Join the processes of a pod before anything else."
)


def _main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  if _MODE.value == "describe":
    _describe()
  elif _MODE.value == "report":
    _report()
  else:
    workdir = _workdir()
    if _DISTRIBUTED.value:
      from distortion_removal.common import devices

      devices.initialize_distributed()
    if _MODE.value == "train":
      _train(workdir)
    elif _MODE.value == "evaluate":
      from distortion_removal.common import devices
      from distortion_removal.evaluation.evaluate import evaluate

      devices.check_platform()
      evaluate(workdir, _CONFIG.value)
    else:
      from distortion_removal.evaluation.timing import time_methods

      time_methods(workdir, _CONFIG.value)


def _workdir() -> Path:
  if "://" in (_WORKDIR.value or ""):
    raise UserError(
      f"--workdir={_WORKDIR.value}: not a folder; mount the bucket, as "
      "experiments/launch_tpu.sh does (docs/tpu.md), and give its folder"
    )
  if _WORKDIR.value:
    return Path(_WORKDIR.value)
  if _CONFIG.value is None:
    raise UserError("give --config=FILE (to train) or --workdir=FOLDER")
  file, _, argument = config_flags.get_config_filename(
    flags.FLAGS["config"]
  ).partition(":")
  return Path("runs") / "_".join(filter(None, (Path(file).stem, argument)))


def _require_network(purpose: str) -> None:
  if _CONFIG.value is None:
    raise UserError(f"give --config=FILE to {purpose} a network")
  if not _CONFIG.value.model.name:
    raise UserError(
      f"there is no network to {purpose} in this configuration; use it with "
      "--mode=evaluate"
    )


def _train(workdir: Path) -> None:
  _require_network("train")
  # From its first step on, training stores where it is; in a pod, JAX itself
  # catches the signal.
  if not _DISTRIBUTED.value:
    signal.signal(signal.SIGTERM, _end_before_training)
  from distortion_removal.common import devices
  from distortion_removal.evaluation.plan import check_evaluation_fields
  from distortion_removal.training import tracing
  from distortion_removal.training.train import train

  traced = tracing.parse(_TRACE_STEPS.value)
  devices.check_platform()
  # Better now than after the training.
  check_evaluation_fields(_CONFIG.value)
  try:
    train(
      _CONFIG.value, workdir, skip_damaged=_SKIP_DAMAGED.value, traced=traced
    )
  finally:
    # All is stored; only the process has to end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_before_training(*_: object) -> NoReturn:
  status = 1
  try:
    # experiments/launch/restart.sh looks for this line.
    log.note("stopped before a step as asked; the same command resumes")
    status = 0
  finally:
    # An exception would get lost in JAX's callbacks, and training go on.
    os._exit(status)


def _describe() -> None:
  _require_network("describe")
  from distortion_removal import models
  from distortion_removal.common import devices
  from distortion_removal.models import describe
  from distortion_removal.training import check_config

  devices.check_platform()
  check_config.check(_CONFIG.value)
  model = models.from_config(_CONFIG.value)
  summary = describe.describe(model, name=_CONFIG.value.model.name)
  log.say(json.dumps(summary, indent=2))
  if _TABLE.value:
    log.say(describe.layer_table(model))


def _report() -> None:
  folders = _WORKDIRS.value or [_WORKDIR.value]
  if not all(folders) or not _OUTPUT.value:
    raise UserError("to report, give --workdirs=RUN,RUN and --output=FOLDER")
  from distortion_removal.report.report import report

  report(
    [Path(folder) for folder in folders],
    Path(_OUTPUT.value),
    command=f"python -m distortion_removal.main {shlex.join(sys.argv[1:])}",
    page_options={
      "excerpts": _PAGE_EXCERPTS.value,
      "seconds": _PAGE_SECONDS.value,
      "loudness_lufs": _PAGE_LOUDNESS.value,
      "megabytes": _PAGE_MEGABYTES.value,
      "wav": _PAGE_WAV.value,
    },
  )


def _parse(words: list[str]) -> list[str]:
  """Parses a command line whose config may be one that comes along."""
  parse = flags_parser(_CONFIG)
  return parse([_with_file(*pair) for pair in itertools.pairwise(["", *words])])


def _with_file(before: str, word: str) -> str:
  name, equals, value = word.partition("=")
  if equals and name in ("--config", "-config"):
    return f"{name}={config.find(value)}"
  return config.find(word) if before in ("--config", "-config") else word


def run() -> None:
  """Runs the mode that the command line asks for."""
  log.setup()
  cores.allow_processes()
  # absl lists only the key flags of the program itself under --help.
  for flag in flags.FLAGS.get_key_flags_for_module(__name__):
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  with one_line_errors():
    app.run(_main, flags_parser=_parse)


if __name__ == "__main__":
  run()
