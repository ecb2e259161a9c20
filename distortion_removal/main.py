"""Trains and evaluates: `python -m distortion_removal.main --config=…`.

Only parses flags and calls `train` and `evaluate`.
"""

from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from distortion_removal import log
from distortion_removal.errors import UserError, one_line_errors

MODES = ("train", "evaluate")

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  None,
  "Configuration file, e.g. configs/quickstart.py; FILE:smoke shrinks the run "
  "to seconds; --config.batch_size=8 overrides a field.",
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the run; default: runs/NAME_OF_THE_CONFIG."
)
_MODE = flags.DEFINE_enum("mode", "train", MODES, "What to do.")
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed", False, "Join the processes of a pod before anything else."
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
  with one_line_errors():
    workdir = _workdir()
    if _DISTRIBUTED.value:
      from distortion_removal import parallel

      parallel.initialize_distributed()
    if _MODE.value == "evaluate":
      from distortion_removal.evaluate import evaluate

      evaluate(workdir, _CONFIG.value)
      return
    if _CONFIG.value is None:
      raise UserError("training needs --config=FILE")
    from distortion_removal.train import train

    train(_CONFIG.value, workdir)


def run() -> None:
  """Entry point of `python -m distortion_removal.main`."""
  log.setup()
  with one_line_errors():
    app.run(_main)


if __name__ == "__main__":
  run()
