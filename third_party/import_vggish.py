"""VGGish's published weights to where the metrics `fad` look for them.

    python -m third_party.import_vggish
    python -m third_party.import_vggish --weights=vggish-10086976.pth

Run once. The published PyTorch file is downloaded (288 MB) into the folder of
the output, unless it lies there or `--weights` names it; without a network,
put it there by hand. Only the very file that was published is read: it is told
by its hash. Converting takes PyTorch; afterwards neither is needed.
"""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from distortion_removal.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.metrics import vggish_weights as kept_weights
from third_party import state_dict, vggish_weights

URL = (
  "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
  "vggish-10086976.pth"
)
SHA256 = "10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b"
_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60


def import_weights(weights: Path | None, output: Path) -> None:
  """Converts the published file to safetensors.

  Args:
    weights: the published file; None: beside `output`, downloaded if missing.
    output: file to write.

  Raises:
    UserError: the file cannot be had, or is not the published one.
  """
  if weights is None:
    weights = output.parent / URL.rsplit("/", 1)[1]
    if not weights.exists():
      download(weights)
  check(weights)
  state = state_dict.load(weights)
  kept_weights.save(output, vggish_weights.from_state_dict(state))


def check(path: Path) -> None:
  """Checks that a file is the published one.

  Raises:
    UserError: it is missing or another one.
  """
  if not path.is_file():
    raise UserError(f"{path}: no such file; it is published as {URL}")
  found = _digest(path)
  if found != SHA256:
    raise UserError(
      f"{path}: damaged, or not the published file (SHA-256 {found}, not "
      f"{SHA256}); delete it and get {URL}"
    )


def download(path: Path) -> None:
  """Downloads the published file beside its place and renames it if it is it.

  Raises:
    UserError: there is no network, or what came is another file.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
  print(f"downloading {URL} (288 MB)", flush=True)
  try:
    with partial.open("wb") as file:
      for block in _blocks(path.parent):
        file.write(block)
    if _digest(partial) != SHA256:
      raise UserError(
        f"what came from {URL} is not the published file; put that into "
        f"{path.parent} and run this again"
      )
    partial.replace(path)
  finally:
    partial.unlink(missing_ok=True)


def _digest(path: Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _blocks(folder: Path) -> Iterator[bytes]:
  """What lies at the address; `folder` is where the user may put it."""
  try:
    with urllib.request.urlopen(URL, timeout=_TIMEOUT_SECONDS) as response:
      while block := response.read(_BLOCK_BYTES):
        yield block
  except (OSError, http.client.HTTPException) as error:
    raise UserError(
      f"cannot download {URL} ({error}); put the file into {folder} and run "
      "this again"
    ) from None


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
  with one_line_errors():
    options = _parser().parse_args(argv)
    output = options.output or kept_weights.default_path()
    import_weights(options.weights, output)
    print(f"written: {output}")


if __name__ == "__main__":
  main()
