"""Restores recordings on a page in a browser: `distortion-removal serve`.

The page and all it needs come from this process, and recordings go nowhere
else; see `local_page`.
"""

import argparse
import contextlib
import importlib.util
import socket
import webbrowser
from collections.abc import Sequence

from distortion_removal.common import devices, log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
  os_reason,
)

_NEEDED = ("starlette", "uvicorn")
_PORT = 8765


def parser() -> OneLineParser:
  """Makes the parser of the command line."""
  parser = OneLineParser(
    prog="python -m distortion_removal.serve",
    description="Opens a page to restore recordings on, in your browser.",
    epilog="Ctrl-C ends it. Recordings lie in a temporary folder and are "
    "deleted then, or when another is dropped.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add(
    "--host",
    default="127.0.0.1",
    help="address to listen at (%(default)s: this machine alone); there is no "
    "password",
  )
  add(
    "--port",
    type=_whole,
    default=_PORT,
    help="to listen at (%(default)s); 0: any that is free",
  )
  add("--open", action="store_true", help="open the page in the browser")
  add(
    "--max-megabytes",
    type=_whole,
    default=2000,
    metavar="N",
    help="largest recording that is taken (%(default)s)",
  )
  add(
    "-d",
    "--device",
    choices=devices.DEVICES,
    default=devices.AUTO,
    help="what computes (%(default)s)",
  )
  return parser


def _whole(text: str) -> int:
  if not text.isdecimal() or len(text) > 9:
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
  return int(text)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors():
    given = parser().parse_args(argv)
    for name in _NEEDED:
      if importlib.util.find_spec(name) is None:
        raise UserError(
          f"the page needs {name}, which is not installed: "
          "pip install 'distortion_removal[page]'"
        )
    # Importing JAX, and what is missing perhaps, takes its time.
    from distortion_removal.local_page import server
    from distortion_removal.restore import restore_recording

    devices.use(given.device)
    devices.keep_compiled()
    with _bound(given.host, given.port) as address:
      url = _url(given.host, address)
      log.say(f"{url} is the page; Ctrl-C ends it and deletes its recordings")
      log.logger.setLevel("WARNING")  # The page shows progress.
      if given.open:
        webbrowser.open(url)
      limits = server.Limits(given.max_megabytes * 10**6, given.host)
      with contextlib.suppress(KeyboardInterrupt):  # as it is meant to end
        server.run(address, limits, restore_recording)
      log.say("ended; the recordings are deleted")


def _bound(host: str, port: int) -> socket.socket:
  """Returns a socket that listens there; raises UserError."""
  try:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
  except (OSError, OverflowError) as error:
    reason = os_reason(error) if isinstance(error, OSError) else str(error)
    raise UserError(
      f"cannot listen at {host}, port {port}: {reason}; choose another "
      "--port, or 0 for any"
    ) from None


def _url(host: str, address: socket.socket) -> str:
  name = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}
  shown = name.get(host, f"[{host}]" if ":" in host else host)
  return f"http://{shown}:{address.getsockname()[1]}/"


if __name__ == "__main__":
  main()
