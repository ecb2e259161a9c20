"""Brings VGGish's published weights to where the metrics `fad` look for them.

    python -m third_party.import_vggish
    python -m third_party.import_vggish --weights=vggish-10086976.pth

Run once. The published PyTorch file is downloaded (288 MB) into the folder of
the output, unless it lies there or `--weights` names it; without a network,
put it there by hand. Only the file with the published hash is read. Converting
takes PyTorch; afterwards neither is needed.
"""

from collections.abc import Sequence
from pathlib import Path

from distortion_removal.common import download, log
from distortion_removal.common.errors import OneLineParser, one_line_errors
from distortion_removal.metrics.fad import vggish
from third_party import state_dict, vggish_weights

URL = (
  "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
  "vggish-10086976.pth"
)
CHECKSUM = (
  "sha256:10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b"
)


def import_weights(weights: Path | None, output: Path) -> None:
  """Converts the published file to safetensors.

  Args:
    weights: the published file; None: next to `output`, downloaded if missing.
    output: file to write.

  Raises:
    UserError: the file is not available, or not the published one.
  """
  if weights is None:
    weights = output.parent / URL.rsplit("/", 1)[1]
    download.download(URL, weights, CHECKSUM)
  else:
    download.verify(weights, URL, CHECKSUM)
  state = state_dict.load(weights)
  vggish.save_weights(output, vggish_weights.from_state_dict(state))


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m third_party.import_vggish",
    description="Gets and converts VGGish's weights for the metrics fad.",
  )
  add = parser.add_argument
  add("--weights", type=Path, help="the published file, if it is here already")
  add("--output", type=Path, help="file to write, if not the usual one")
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """The command line, see `--help`."""
  log.setup()
  with one_line_errors():
    options = _parser().parse_args(argv)
    output = options.output or vggish.default_weights_path()
    import_weights(options.weights, output)
    print(f"written: {output}")


if __name__ == "__main__":
  main()
