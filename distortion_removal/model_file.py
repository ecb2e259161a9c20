"""Turns a trained network into one file to share, or back into a run.

    python -m distortion_removal.model_file runs/quickstart -o clean.safetensors
    python -m distortion_removal.model_file clean.safetensors -o runs/shared

The file has a model card next to it, see `training.weights`. The second
command makes a run again, bit for bit, to evaluate; `restore` takes the file as
it is.
"""

from collections.abc import Sequence
from pathlib import Path

from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.training import weights


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.model_file",
    description="A run to a file to share, or such a file to a run.",
  )
  add = parser.add_argument
  add("source", type=Path, help=f"folder of a run, or a {weights.SUFFIX} file")
  add("-o", "--output", type=Path, required=True, help="the other of the two")
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    options = _parser().parse_args(argv)
    if options.source.suffix == options.output.suffix == weights.SUFFIX:
      raise UserError(
        f"{options.output}: to a run, give a folder without {weights.SUFFIX}"
      )
    if options.source.suffix == weights.SUFFIX:
      weights.import_run(options.source, options.output)
    else:
      weights.export_run(options.source, options.output)
    print(f"written: {options.output}")


if __name__ == "__main__":
  main()
