"""Brings VGGish's published weights to where the metrics `fad` look for them.

    python -m third_party.import_vggish
    python -m third_party.import_vggish --weights=vggish-10086976.pth

Run once. The published PyTorch file is downloaded (288 MB) into the folder of
the output, unless it lies there or `--weights` names it; without a network,
put it there by hand. Only the file with the published hash is read. Converting
takes PyTorch; afterwards neither is needed.

The state dictionary is that of harritaylor/torchvggish: the layers are numbered
as in its two `nn.Sequential`, `features` and `embeddings`. It flattens height,
width and channels in this order, as the TensorFlow original and ours do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal.common import download, log
from distortion_removal.common.errors import OneLineParser, one_line_errors
from distortion_removal.common.files import one_line
from distortion_removal.metrics.fad import vggish
from third_party import state_dict

URL = (
  "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
  "vggish-10086976.pth"
)
CHECKSUM = (
  "sha256:10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b"
)
_LAYERS = {
  "conv1": "features.0",
  "conv2": "features.3",
  "conv3_1": "features.6",
  "conv3_2": "features.8",
  "conv4_1": "features.11",
  "conv4_2": "features.13",
  "fc1_1": "embeddings.0",
  "fc1_2": "embeddings.2",
  "fc2": "embeddings.4",
}


def _reference_key(path: tuple[str, ...]) -> str:
  _, layer, leaf = path
  return f"{_LAYERS[layer]}.{'weight' if leaf == 'kernel' else leaf}"


def from_state_dict(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Converts a state dictionary to the variables of `vggish.VGGish`."""
  # All axes are reversed but those of height and width.
  state = {
    key: value.swapaxes(2, 3) if value.ndim == 4 else value
    for key, value in state.items()
  }
  return state_dict.convert(state, vggish.variable_shapes(), _reference_key)


def import_weights(weights: Path | None, output: Path) -> None:
  """Converts the published file to safetensors.

  Args:
    weights: the published file; None: next to `output`, downloaded if missing.
    output: file to write.
  """
  if weights is None:
    weights = output.parent / URL.rsplit("/", 1)[1]
    download.download(URL, weights, CHECKSUM)
  else:
    download.verify(weights, URL, CHECKSUM)
  vggish.save_weights(output, from_state_dict(state_dict.load(weights)))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  parser = OneLineParser(
    prog="python -m third_party.import_vggish",
    description="Gets and converts VGGish's weights for the metrics fad.",
  )
  add = parser.add_argument
  add("--weights", type=Path, help="the published file, if it is here already")
  add("--output", type=Path, help="file to write, if not the usual one")
  log.setup()
  with one_line_errors():
    options = parser.parse_args(argv)
    output = options.output or vggish.default_weights_path()
    import_weights(options.weights, output)
    log.say(f"written: {one_line(output)}")


if __name__ == "__main__":
  main()
