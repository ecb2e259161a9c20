"""The console script `distortion-removal COMMAND …`."""

import sys

_COMMANDS = {
  "train": "train a network: --config=FILE [--workdir=FOLDER]",
  "describe": "size, cost and latency of a network: --config=FILE [--table]",
  "evaluate": "score a run, or methods without one: --workdir=FOLDER "
  "[--config=FILE]",
  "time": "speed and memory of a run and its baselines: --workdir=FOLDER",
  "report": "tables, figures and a listening page of runs: --workdirs=A,B "
  "--output=FOLDER",
  "prepare": "make a data set of recordings: --dataset=NAME --path=FOLDER",
  "model-file": "a run to a file to share, or back: RUN -o FILE.safetensors",
  "restore": "restore a recording: IN -o OUT --checkpoint=RUN_OR_MODEL_FILE, "
  "or without a network, --method=aspade",
  "score": "score recordings: REFERENCE ESTIMATE... --metrics=si_sdr,peaq "
  "[--json]",
}


def main() -> None:
  """Hands the arguments to the command that comes first among them."""
  command = sys.argv[1] if len(sys.argv) > 1 else "--help"
  if command in ("-h", "--help", "help"):
    print(_usage())
    return
  if command not in _COMMANDS:
    known = ", ".join(_COMMANDS)
    sys.exit(f"error: unknown command {command!r}: choose from {known}")
  arguments = sys.argv[2:]
  if command in ("train", "evaluate", "time", "report", "describe"):
    from distortion_removal import main as runs

    # config_flags reads overrides from sys.argv.
    sys.argv = [f"distortion-removal {command}", f"--mode={command}"]
    sys.argv += arguments
    runs.run()
  elif command == "prepare":
    from distortion_removal import prepare

    prepare.main(arguments)
  elif command == "model-file":
    from distortion_removal import model_file

    model_file.main(arguments)
  elif command == "restore":
    from distortion_removal import restore

    restore.main(arguments)
  else:
    from distortion_removal import score

    score.main(arguments)


def _usage() -> str:
  lines = [
    "usage: distortion-removal COMMAND [OPTIONS]",
    *(f"  {name:<12}{text}" for name, text in _COMMANDS.items()),
    "distortion-removal COMMAND --help says more.",
  ]
  return "\n".join(lines)
