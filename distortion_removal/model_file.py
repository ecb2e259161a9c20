"""Turns a trained network into one file to share, or back into a run.

    python -m distortion_removal.model_file runs/quickstart -o clean.safetensors
    python -m distortion_removal.model_file clean.safetensors -o runs/shared
    python -m distortion_removal.model_file clean.safetensors -o clean.onnx

The file has a model card next to it, see `training.weights`. The second
command makes a run again, bit for bit; the third is for other programs, see
`inference.onnx_model`. `--dtype=float16` halves the file and rounds the
weights. `restore` and `evaluate` take the file as it is. A model that comes
with the package is named in its place, see `training.shipped`.
"""

from collections.abc import Sequence
from pathlib import Path

from distortion_removal.common import devices, log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.files import one_line
from distortion_removal.inference import onnx_model
from distortion_removal.training import shipped, weights


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.model_file",
    description="A run to a file to share, or such a file to a run; either to "
    "ONNX.",
  )
  add = parser.add_argument
  add(
    "source",
    help=f"folder of a run, a {weights.SUFFIX} file or a model's name",
  )
  add(
    "-o",
    "--output",
    type=Path,
    required=True,
    help=f"the other of the two, or a file that ends in {onnx_model.SUFFIX}",
  )
  add(
    "--dtype",
    choices=weights.DTYPES,
    help="of the weights in a file; default: float32, as they were trained",
  )
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  with one_line_errors():
    options = parser().parse_args(argv)
    devices.check_platform()
    source, target = shipped.find(options.source), options.output
    if target.suffix == onnx_model.SUFFIX:
      if options.dtype:
        raise UserError("ONNX models are float32; leave --dtype out")
      onnx_model.export(source, target)
    elif source.suffix == weights.SUFFIX:
      if target.suffix == weights.SUFFIX or options.dtype:
        raise UserError(
          f"{target}: to a run, give a folder without {weights.SUFFIX}, and no "
          "--dtype"
        )
      weights.import_run(source, target)
    else:
      weights.export_run(source, target, options.dtype or weights.DTYPES[0])
    log.say(f"written: {one_line(target)}")


if __name__ == "__main__":
  main()
