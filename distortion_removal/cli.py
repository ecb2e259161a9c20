"""The console script `distortion-removal COMMAND …`."""

import argparse
import importlib
import sys
import types

from absl import flags

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
_COMPLETION = "--print-completion"


def main() -> None:
  """Runs the command that the first argument names with the others."""
  with one_line_errors():
    _run()


def _run() -> None:
  command = sys.argv[1] if len(sys.argv) > 1 else "--help"
  arguments = sys.argv[2:]
  if command in ("-h", "--help", "help"):
    log.say(_usage())
  elif command == _COMPLETION:
    log.say(_completion(*arguments))
  elif command in runs.MODES:
    # config_flags reads overrides from sys.argv.
    sys.argv = [f"distortion-removal {command}", f"--mode={command}"]
    sys.argv += arguments
    runs.run()
  elif command in _FILE_COMMANDS:
    _module(command).main(arguments)
  else:
    known = ", ".join(_COMMANDS)
    raise UserError(f"unknown command {command!r}; choose from {known}")


def _module(command: str) -> types.ModuleType:
  name = command.replace("-", "_")
  return importlib.import_module(f"distortion_removal.{name}")


def _completion(shell: str = "", *others: str) -> str:
  """Returns the script with which a shell completes this command's words."""
  try:
    import shtab
  except ImportError:
    raise UserError(
      f"{_COMPLETION} needs shtab: pip install 'distortion_removal[completion]'"
    ) from None
  if shell not in shtab.SUPPORTED_SHELLS or others:
    shells = ", ".join(shtab.SUPPORTED_SHELLS)
    raise UserError(f"{_COMPLETION}: give a shell: {shells}")
  parser = argparse.ArgumentParser(prog="distortion-removal")
  commands = parser.add_subparsers()
  for command, text in _COMMANDS.items():
    is_mode = command in runs.MODES
    parent = _mode_parser() if is_mode else _module(command).parser()
    added = commands.add_parser(
      command, help=text, parents=[parent], add_help=False
    )
    for action in added._actions:
      if action.nargs != 0 and not action.choices:
        action.complete = shtab.FILE
  return shtab.complete(parser, shell)


def _mode_parser() -> argparse.ArgumentParser:
  """Makes a parser of the flags of `main`, which absl parses itself."""
  parser = argparse.ArgumentParser()
  for flag in flags.FLAGS.get_key_flags_for_module(runs.__name__):
    action = "store_true" if flag.boolean else "store"
    if flag.name != "mode":
      parser.add_argument(f"--{flag.name}", action=action, help=flag.help)
  return parser


def _usage() -> str:
  lines = [
    "usage: distortion-removal COMMAND [OPTIONS]",
    *(f"  {name:<12}{text}" for name, text in _COMMANDS.items()),
    "distortion-removal COMMAND --help lists the options;",
    f"distortion-removal {_COMPLETION} bash (zsh, fish, …) prints a script "
    "that completes them.",
    "Exit status: 0, or 1 after a mistake, which a line on stderr names.",
  ]
  return "\n".join(lines)
