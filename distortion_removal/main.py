"""Trains, evaluates and so on: `python -m distortion_removal.main …`."""

import json
import shlex
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from distortion_removal.common import cores, log
from distortion_removal.common.errors import (
  UserError,
  flags_parser,
  one_line_errors,
)

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "Configuration file, e.g. configs/quickstart.py; FILE:smoke shrinks the run "
  "to seconds; --config.batch_size=8 overrides a field.",
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run; default: runs/NAME_OF_THE_CONFIG."
)
_MODE = flags.DEFINE_enum(
  "mode",
  "train",
  ["train", "evaluate", "time", "report", "describe"],
  "What to do.",
)
_WORKDIRS = flags.DEFINE_list(
  "workdirs", [], "To report, folders of runs that have been evaluated: A,B,C."
)
_OUTPUT = flags.DEFINE_string("output", None, "To report, the folder it gets.")
_PAGE_EXCERPTS = flags.DEFINE_integer(
  "page_excerpts", None, "To report, excerpts to listen to; default: all."
)
_PAGE_SECONDS = flags.DEFINE_float(
  "page_seconds", None, "To report, of each sound; default: what fits."
)
_PAGE_LOUDNESS = flags.DEFINE_float(
  "page_loudness", None, "To report, LUFS of the sounds; default: the task's."
)
_PAGE_MEGABYTES = flags.DEFINE_float(
  "page_megabytes", 60.0, "To report, MB of the listening page at most."
)
_PAGE_WAV = flags.DEFINE_bool(
  "page_wav",
  False,
  "To report, add WAV files, for browsers that cannot play FLAC from disk.",
)
_TABLE = flags.DEFINE_bool("table", False, "To describe, list the layers too.")
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed", False, "Join the processes of a pod before anything else."
)
_FLAGS = (
  _CONFIG,
  _WORKDIR,
  _MODE,
  _WORKDIRS,
  _OUTPUT,
  _PAGE_EXCERPTS,
  _PAGE_SECONDS,
  _PAGE_LOUDNESS,
  _PAGE_MEGABYTES,
  _PAGE_WAV,
  _TABLE,
  _DISTRIBUTED,
)


def _workdir() -> Path:
  if _WORKDIR.value:
    return Path(_WORKDIR.value)
  if _CONFIG.value is None:
    raise UserError("give --config=FILE (to train) or --workdir=FOLDER")
  file, _, argument = config_flags.get_config_filename(
    flags.FLAGS["config"]
  ).partition(":")
  return Path("runs") / "_".join(filter(None, (Path(file).stem, argument)))


def _main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  if _MODE.value == "describe":
    _describe()
    return
  if _MODE.value == "report":
    _report()
    return
  workdir = _workdir()
  if _DISTRIBUTED.value:
    from distortion_removal.common import devices

    devices.initialize_distributed()
  if _MODE.value == "evaluate":
    from distortion_removal.evaluation.evaluate import evaluate

    evaluate(workdir, _CONFIG.value)
    return
  if _MODE.value == "time":
    from distortion_removal.evaluation.timing import time_methods

    time_methods(workdir, _CONFIG.value)
    return
  if _CONFIG.value is None:
    raise UserError("training needs --config=FILE")
  _require_network("train")
  from distortion_removal.evaluation.plan import check_evaluation_fields
  from distortion_removal.training.train import train

  # Better now than after the training.
  check_evaluation_fields(_CONFIG.value)
  train(_CONFIG.value, workdir)


def _require_network(what: str) -> None:
  if not _CONFIG.value.model.name:
    raise UserError(
      f"there is no network to {what} in this configuration; it is for "
      "--mode=evaluate"
    )


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


def _describe() -> None:
  if _CONFIG.value is None:
    raise UserError("to describe a network, give --config=FILE")
  _require_network("describe")
  from distortion_removal import models
  from distortion_removal.models import describe
  from distortion_removal.training import check_config

  check_config.check(_CONFIG.value)
  model = models.from_config(_CONFIG.value)
  summary = describe.describe(model, name=_CONFIG.value.model.name)
  print(json.dumps(summary, indent=2))
  if _TABLE.value:
    print(describe.layer_table(model))


def run() -> None:
  """Entry point of `python -m distortion_removal.main`."""
  log.setup()
  cores.allow_processes()
  for flag in _FLAGS:
    # Whatever program this is part of, --help lists them.
    flags.FLAGS.register_key_flag_for_module(
      sys.argv[0], flags.FLAGS[flag.name]
    )
  with one_line_errors():
    app.run(_main, flags_parser=flags_parser(_CONFIG))


if __name__ == "__main__":
  run()
