"""Large files from the web: continued after a cut, checked by their hash.

What has come lies beside the file's place as `NAME.partial`, and the next
connection, of this run or a later one, asks for the rest alone. The file gets
its name only when its hash is the published one, so that a file of that name
is whole.
"""

import contextlib
import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.common.progress import Progress

_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60.0
# Before each try that follows one that brought nothing; only the first of them
# if nobody has answered yet.
_WAITS_SECONDS = (1.0, 5.0, 20.0, 60.0)
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # may be gone at the next try


class _CutError(Exception):
  """The connection failed; the next may go on."""


class _NoAnswerError(_CutError):
  """There may be no network at all."""


def download(
  url: str,
  path: Path,
  *,
  sha256: str | None = None,
  md5: str | None = None,
  size: int | None = None,
  spare: int = 0,
  offline: bool = False,
) -> None:
  """Provides a published file: checks what lies there, or downloads it.

  The log shows the size, the checksum and how much is here before it begins.

  Args:
    url: where it is published.
    path: where it goes; folders are made.
    sha256: in hexadecimal; this or `md5` is required.
    md5: likewise.
    size: in bytes, if known.
    spare: bytes that must be free afterwards, to unpack it.
    offline: use what lies at `path`, or say what to put there.

  Raises:
    UserError: there is no network, no room, or what lies there or came is not
      the published file.
    OSError: the folder cannot be written.
  """
  checksum = _checksum(sha256, md5)
  if path.exists():
    verify(path, url, sha256=sha256, md5=md5, size=size)
    return
  if offline:
    raise UserError(
      f"{path}: not there, and offline; get {url} ({checksum}) and put it there"
    )
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f"{path.name}.partial")
  _fetch(url, partial, size, checksum, spare)
  logger.info("checking %s", path.name)
  if _digest(partial, checksum) != checksum:
    partial.unlink()
    raise UserError(
      f"what came from {url} is not the published file ({checksum}) and was "
      f"deleted; run this again, or put the file into {path.parent}"
    )
  partial.replace(path)


def verify(
  path: Path,
  url: str,
  *,
  sha256: str | None = None,
  md5: str | None = None,
  size: int | None = None,
) -> None:
  """Checks that a file is the one that is published; see `download`.

  Raises:
    UserError: it is missing, truncated, or another one.
  """
  checksum = _checksum(sha256, md5)
  if not path.is_file():
    raise UserError(f"{path}: no such file; it is published as {url}")
  if size is not None and _size(path) < size:
    raise UserError(
      f"{path}: truncated: {_size(path)} of {size} bytes are there; rename it "
      f"to {path.name}.partial to have the rest downloaded"
    )
  found = _digest(path, checksum)
  if found != checksum:
    raise UserError(
      f"{path}: damaged, or not the published file ({found}, not {checksum}); "
      f"delete it and get {url}"
    )


def read_json(url: str) -> Any:
  """What a web service answers; UserError if it does not, or not in JSON."""
  try:
    with _network(url), _open(url) as response:
      return json.load(response)
  except (_CutError, ValueError) as error:
    raise UserError(f"cannot read {url} ({error}); try again later") from None


def _check_space(folder: Path, needed: int) -> None:
  if (free := shutil.disk_usage(folder).free) < needed:
    raise UserError(
      f"{folder}: {_amount(free)} free, {_amount(needed)} needed; free some or "
      "choose another disk"
    )


def _checksum(sha256: str | None, md5: str | None) -> str:
  """`algorithm:digest`, as Zenodo writes it."""
  if sha256 is None and md5 is None:
    raise ValueError("a download that nothing can check: pass sha256 or md5")
  return f"md5:{md5}" if sha256 is None else f"sha256:{sha256}"


def _digest(path: Path, like: str) -> str:
  """The checksum of a file by the algorithm of another checksum."""
  algorithm = like.partition(":")[0]
  with path.open("rb") as file:
    return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _amount(count: float) -> str:
  """Bytes as people write them."""
  for unit in ("bytes", "kB", "MB"):
    if count < 1000:
      return f"{count:.3g} {unit}"
    count /= 1000
  return f"{count:.3g} GB"


def _size(path: Path) -> int:
  return path.stat().st_size if path.exists() else 0


def _fetch(url, partial, size, checksum, spare) -> None:
  """Connects until `partial` is complete, or nothing more comes."""
  failures = 0
  while True:
    before = _size(partial)
    try:
      _continue(url, partial, size, checksum, spare)
      return
    except _CutError as error:
      failures = 0 if _size(partial) > before else failures + 1
      waits = _WAITS_SECONDS
      if isinstance(error, _NoAnswerError) and not _size(partial):
        waits = waits[:1]
      if failures > len(waits):
        raise UserError(
          f"cannot download {url} ({error}); {_amount(before)} are kept, run "
          f"this again to go on, or put the file into {partial.parent}"
        ) from None
      wait = waits[max(failures - 1, 0)]
      logger.info("%s; trying again in %.0f s", error, wait)
      time.sleep(wait)


def _continue(url, partial, size, checksum, spare) -> None:
  """Appends what one connection brings; _CutError if that is not all."""
  done = _size(partial)
  if done == size:
    return
  if size is not None and done > size:
    done = 0
  with _network(url):
    # The last byte once more: no server refuses a range that is not empty.
    response = _open(url, max(done - 1, 0))
  with response:
    start = _start(response)
    total = start + int(response.headers.get("Content-Length") or 0)
    if size not in (None, total) or total == start or start > done:
      raise UserError(
        f"{url}: offers {total} bytes, not {size or 'a file'}; it is not, or "
        "no longer, the published file"
      )
    logger.info(
      "downloading %s (%s, %s) to %s; %s are here already",
      *(url, _amount(total), checksum, partial.parent, _amount(start)),
    )
    _check_space(partial.parent, total - start + spare)
    _append(_blocks(url, response), partial, start, total)


def _open(url: str, start: int = 0) -> Any:
  """The server's answer from byte `start` on, if it knows ranges."""
  headers = {"Range": f"bytes={start}-"} if start else {}
  request = urllib.request.Request(url, headers=headers)
  return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)


def _start(response: Any) -> int:
  """The byte that the answer begins at."""
  span = response.headers.get("Content-Range") or "bytes 0-"
  return int(re.match(r"bytes (\d+)-", span)[1])


def _append(blocks, partial, start, total) -> None:
  """Writes blocks from byte `start` on; _CutError if they end too early."""
  with (
    partial.open("ab") as file,
    Progress(total, "downloaded %.0f %%", unit="B", is_shown=True) as progress,
  ):
    file.truncate(start)
    progress.advance(start)
    for block in blocks:
      file.write(block)
      progress.advance(len(block))
  if (done := _size(partial)) < total:
    raise _CutError(f"the connection was cut at {done} of {total} bytes")


def _blocks(url: str, response: Any) -> Iterator[bytes]:
  with _network(url):
    while block := response.read(_BLOCK_BYTES):
      yield block


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
  """Tells what another try may mend from what it will not."""
  try:
    yield
  except urllib.error.HTTPError as error:
    reason = f"{error.code} {error.reason}"
    if error.code in _PASSING:
      raise _CutError(f"the server answers {reason}") from None
    raise UserError(f"{url}: the server answers {reason}") from None
  except (OSError, http.client.HTTPException) as error:
    raise _NoAnswerError(getattr(error, "reason", error)) from None
