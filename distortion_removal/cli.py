"""The console script `distortion-removal COMMAND …`."""

import importlib
import sys

from distortion_removal import main as runs
from distortion_removal.common import log
from distortion_removal.common.errors import UserError, one_line_errors

# Commands on files, each in the module of its name.
_FILE_COMMANDS = {
  "prepare": "make a data set of recordings: --dataset=NAME --path=FOLDER",
  "model-file": "a run to a file to share, or back: RUN -o FILE.safetensors",
  "restore": "restore recordings, files or folders: IN... [-o OUT]; with a "
  "network, --model=NAME",
  "serve": "restore recordings on a page in your browser: [--open]",
  "analyze": "say how recordings are distorted: FILE... [--json]",
  "score": "score recordings: REFERENCE ESTIMATE... --metrics=si_sdr,peaq "
  "[--json]",
}
_COMMANDS = runs.MODES | _FILE_COMMANDS


def main() -> None:
  """Runs the command that the first argument names with the others."""
  with one_line_errors():
    _run()


def _run() -> None:
  command = sys.argv[1] if len(sys.argv) > 1 else "--help"
  arguments = sys.argv[2:]
  if command in ("-h", "--help", "help"):
    log.say(_usage())
  elif command in runs.MODES:
    # config_flags reads overrides from sys.argv.
    sys.argv = [f"distortion-removal {command}", f"--mode={command}"]
    sys.argv += arguments
    runs.run()
  elif command in _FILE_COMMANDS:
    name = command.replace("-", "_")
    module = importlib.import_module(f"distortion_removal.{name}")
    module.main(arguments)
  else:
    known = ", ".join(_COMMANDS)
    raise UserError(f"unknown command {command!r}; choose from {known}")


def _usage() -> str:
  lines = [
    "usage: distortion-removal COMMAND [OPTIONS]",
    *(f"  {name:<12}{text}" for name, text in _COMMANDS.items()),
    "distortion-removal COMMAND --help lists the options.",
  ]
  return "\n".join(lines)
