"""Downloads large files: continues after a cut, and checks the hash.

An unfinished file is `NAME.partial`, and the next connection, of this run or a
later one, asks for the rest only. The file gets its name once its hash is the
published one, so a file of that name is whole.
"""

import hashlib
import http.client
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress, logger

_TIMEOUT_SECONDS = 60.0
# Before each new try, as long as the tries bring nothing.
_WAITS_SECONDS = (1.0, 5.0, 20.0, 60.0)
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
# Not every OSError: a full disk is one, too.
_NETWORK_ERRORS = (
  urllib.error.URLError,
  http.client.HTTPException,
  ConnectionError,
  TimeoutError,
  ssl.SSLError,
)


def download(
  url: str,
  path: Path,
  checksum: str,
  *,
  size: int | None = None,
  spare: int = 0,
) -> None:
  """Downloads a published file, or checks it if it is there already.

  Args:
    url: where it is published.
    path: file to write; its folders are made.
    checksum: `ALGORITHM:DIGEST`, as Zenodo writes it: "md5:0a1b…".
    size: bytes, if known.
    spare: bytes that must be free afterwards, to unpack it.
  """
  if path.exists():
    verify(path, url, checksum)
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f"{path.name}.partial")
  logger.info(f"downloading {url} ({checksum}) to {path.parent}")
  _fetch(url, partial, size, spare)
  if _digest(partial, checksum) != checksum:
    partial.unlink()
    raise UserError(
      f"the download from {url} is not the published file ({checksum}) and was "
      f"deleted; run this again, or put the file into {path.parent}"
    )
  partial.replace(path)


def verify(path: Path, url: str, checksum: str) -> None:
  """Raises UserError unless a file is the one published at `url`."""
  if not path.is_file():
    raise UserError(f"{path}: no such file; it is published as {url}")
  found = _digest(path, checksum)
  if found != checksum:
    raise UserError(
      f"{path}: damaged, or not the published file ({found}, not {checksum}); "
      f"if only its end is missing, rename it to {path.name}.partial, or else "
      f"delete it, and get {url}"
    )


def read_json(url: str) -> Any:
  """Returns a web service's answer; UserError if there is none in JSON."""
  try:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
      return json.load(response)
  except (*_NETWORK_ERRORS, ValueError) as error:
    raise UserError(f"cannot read {url} ({error}); try again later") from None


def _digest(path: Path, checksum: str) -> str:
  """Computes a file's checksum by the algorithm of `checksum`."""
  algorithm = checksum.partition(":")[0]
  with path.open("rb") as file:
    return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _fetch(url: str, partial: Path, size: int | None, spare: int) -> None:
  """Connects until `partial` is complete, or nothing more comes."""
  failures = 0
  while (before := _length(partial)) != size:
    try:
      _continue(url, partial, size, spare)
      return
    except _NETWORK_ERRORS as error:
      status = getattr(error, "code", None)
      failures = 0 if _length(partial) > before else failures + 1
      # Without any answer yet, there may be no network at all.
      waits = _WAITS_SECONDS if before or status else _WAITS_SECONDS[:1]
      if failures > len(waits) or status not in (None, *_TRANSIENT_STATUS):
        raise UserError(
          f"cannot download {url} ({error}); run this again to go on after "
          f"{_amount(before)}, or put the file into {partial.parent}"
        ) from None
      wait = waits[max(failures - 1, 0)]
      logger.info(f"{error}; trying again in {wait:.0f} s")
      time.sleep(wait)


def _continue(url: str, partial: Path, size: int | None, spare: int) -> None:
  """Appends what one connection brings; ConnectionError if it was cut."""
  done = _length(partial)
  # The last byte once more: no server refuses a range that is not empty.
  start = max(done - 1, 0) if size is None or done < size else 0
  headers = {"Range": f"bytes={start}-"} if start else {}
  request = urllib.request.Request(url, headers=headers)
  with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
    if response.status != http.client.PARTIAL_CONTENT:
      start = 0  # The server does not know ranges.
    total = start + int(response.headers.get("Content-Length") or 0)
    if size not in (None, total) or total == start:
      raise UserError(
        f"{url}: offers {total} bytes, not {size or 'a file'}; it is not, or "
        "no longer, the published file"
      )
    free, needed = shutil.disk_usage(partial.parent).free, total - start + spare
    if free < needed:
      raise UserError(
        f"{partial.parent}: {_amount(free)} free, {_amount(needed)} needed; "
        "free some or choose another disk"
      )
    logger.info(f"{_amount(total)} in all, {_amount(start)} are here already")
    shown = Progress(total, "downloaded %.0f %%", unit="B", is_shown=True)
    with partial.open("ab") as file, shown:
      file.truncate(start)
      shown.advance(start)
      while block := response.read(1 << 20):
        file.write(block)
        shown.advance(len(block))
  if (done := _length(partial)) < total:
    raise ConnectionError(f"connection cut at {done} of {total} bytes")


def _length(path: Path) -> int:
  return path.stat().st_size if path.exists() else 0


def _amount(count: float) -> str:
  return tqdm.format_sizeof(count, "B")
