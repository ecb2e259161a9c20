"""Answers the browser: the page, a recording, its restoration, its files.

    GET    /                             the page; /NAME: a file that it needs
    POST   /recordings?name=NAME         a recording, as the request's body
    GET    /recordings/ID                its state
    DELETE /recordings/ID                deletes it
    POST   /recordings/ID/restoration    restores it, see `options`
    DELETE /recordings/ID/restoration    stops that
    GET    /recordings/ID/files/NAME     a sound, a picture or a result

ID is a secret of the page that has uploaded the recording.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError, mendable, os_reason
from distortion_removal.common.files import one_line
from distortion_removal.inference.automatic import DECLIPPER, PRESETS
from distortion_removal.local_page import options
from distortion_removal.local_page.guard import Guard
from distortion_removal.local_page.recording import (
  FLOAT_RESULT,
  RESULT,
  Recording,
  Restore,
)
from distortion_removal.local_page.workspace import Workspace
from distortion_removal.report.page import contents
from distortion_removal.training import shipped

_KINDS = {".css": "text/css", ".js": "text/javascript"}
_SHARED = ("look.css", "player.js", "controls.js")
_OWN = ("page.css", "view.js", "requests.js", "page.js")
_OPTIONS_BYTES = 1000  # that a request may have
_PATIENCE_SECONDS = 2.0
_NAME_CHARACTERS = 120  # that are kept of a file's name


class Limits(NamedTuple):
  """What is taken.

  Attributes:
    bytes: of a recording at most.
    host: name the page may be asked for, see `Guard`.
  """

  bytes: int
  host: str = "localhost"


def app(folder: Path, limits: Limits, restore: Restore) -> Starlette:
  """Returns the server of one page, which keeps recordings in a folder.

  Args:
    folder: an empty one; it is deleted at the end, with all that is in it.
    limits: what is taken.
    restore: restores a recording, as `restore.restore_recording`.
  """
  workspace = Workspace(restore)

  @contextlib.asynccontextmanager
  async def lifespan(_: Starlette) -> AsyncIterator[None]:
    try:
      yield
    finally:
      # Before the work that is going on, which may take a moment to notice.
      shutil.rmtree(folder, ignore_errors=True)
      await run_in_threadpool(workspace.close)
      shutil.rmtree(folder, ignore_errors=True)

  page = _Page(folder, limits, workspace)
  return Starlette(
    routes=[
      *page.static_routes(),
      Route("/recordings", page.upload, methods=["POST"]),
      Route("/recordings/{id}", page.state),
      Route("/recordings/{id}", page.discard, methods=["DELETE"]),
      Route("/recordings/{id}/restoration", page.restore, methods=["POST"]),
      Route("/recordings/{id}/restoration", page.stop, methods=["DELETE"]),
      Route("/recordings/{id}/files/{name}", page.file),
    ],
    middleware=[Middleware(Guard, host=limits.host)],
    exception_handlers={UserError: _user_error, HTTPException: _http_error},
    lifespan=lifespan,
  )


def server_of(served: Starlette) -> uvicorn.Server:
  """Returns what runs an app: `.run(sockets=[…])`, until Ctrl-C."""
  config = uvicorn.Config(
    served,
    log_level="warning",
    access_log=False,
    proxy_headers=False,
    server_header=False,
    timeout_graceful_shutdown=1,  # Streams of sound have no end of their own.
  )
  return uvicorn.Server(config)


def run(address: socket.socket, limits: Limits, restore: Restore) -> None:
  """Serves the page until Ctrl-C, and leaves no recording behind.

  Args:
    address: bound to where the page is.
    limits: what is taken.
    restore: see `app`.
  """
  folder = Path(tempfile.mkdtemp(prefix="distortion_removal-"))
  try:
    server_of(app(folder, limits, restore)).run(sockets=[address])
  finally:
    shutil.rmtree(folder, ignore_errors=True)


class _Page:
  """What the routes do; see the module."""

  def __init__(self, folder: Path, limits: Limits, workspace: Workspace):
    self._folder, self._limits, self._workspace = folder, limits, workspace
    self._uploading = asyncio.Lock()

  def static_routes(self) -> list[Route]:
    """Returns routes to the page and its files, which are read once."""
    own, shared = (
      resources.files(__package__),
      resources.files(contents.__package__),
    )
    routes = [_static("/", _html(self._limits), "text/html")]
    for place, names in ((own, _OWN), (shared, _SHARED)):
      for name in names:
        kind = _KINDS[PurePosixPath(name).suffix]
        routes.append(_static(f"/{name}", (place / name).read_bytes(), kind))
    return routes

  async def upload(self, request: Request) -> Response:
    """Takes a recording, in the place of the one before."""
    name = _shown_name(request.query_params.get("name", ""))
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in files.SUFFIXES:
      raise HTTPException(
        415, f"{name}: not a recording by its name; give {_some_suffixes()}"
      )
    if int(request.headers.get("content-length", 0)) > self._limits.bytes:
      raise self._too_large(name)
    async with self._alone():
      folder = Path(tempfile.mkdtemp(dir=self._folder))
      # The suffix is one of ours, and of the name nothing else is used.
      source = folder / f"recording{suffix}"
      try:
        await self._receive(request, source, name)
      except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
      recording = Recording(folder, name, source)
      await run_in_threadpool(self._workspace.take, recording)
    return self._state(recording, 201)

  @contextlib.asynccontextmanager
  async def _alone(self) -> AsyncIterator[None]:
    """Lets one upload in; one that was given up needs a moment to end."""
    try:
      await asyncio.wait_for(self._uploading.acquire(), _PATIENCE_SECONDS)
    except TimeoutError:
      raise HTTPException(409, "another recording is being uploaded") from None
    try:
      yield
    finally:
      self._uploading.release()

  async def _receive(self, request: Request, path: Path, name: str) -> None:
    size = 0
    with path.open("xb") as file:
      try:
        async for part in request.stream():
          size += len(part)
          if size > self._limits.bytes:
            raise self._too_large(name)
          await run_in_threadpool(file.write, part)
      except ClientDisconnect:
        raise HTTPException(400, "the upload was given up") from None
      except OSError as error:
        message = mendable(error) or os_reason(error)
        raise HTTPException(507, one_line(message)) from None

  def _too_large(self, name: str) -> HTTPException:
    megabytes = self._limits.bytes / 1e6
    return HTTPException(
      413,
      f"{name}: larger than {megabytes:g} MB; serve with a larger "
      "--max-megabytes",
    )

  def state(self, request: Request) -> Response:
    """Returns what is known of a recording."""
    return self._state(self._recording(request))

  def discard(self, request: Request) -> Response:
    """Deletes a recording and all that was made of it."""
    self._recording(request)
    self._workspace.discard()
    return Response(status_code=204)

  async def restore(self, request: Request) -> Response:
    """Starts to restore a recording."""
    recording = self._recording(request)
    text = b""
    async for part in request.stream():
      text += part
      if len(text) > _OPTIONS_BYTES:
        raise HTTPException(413, "too many options")
    chosen = options.parse(text)
    if "views" not in recording.shown:
      raise HTTPException(409, "the recording is still being looked at")
    self._workspace.restore(chosen)
    return self._state(recording, 202)

  def stop(self, request: Request) -> Response:
    """Stops what is being done with a recording."""
    recording = self._recording(request)
    self._workspace.cancel()
    return self._state(recording)

  def file(self, request: Request) -> Response:
    """Returns a sound, a picture or a result; sounds also in parts."""
    recording, name = self._recording(request), request.path_params["name"]
    path = recording.files.get(name)
    if path is None:
      raise HTTPException(404, "there is no such file any more")
    own_name = None
    if name in (RESULT, FLOAT_RESULT):
      own_name = f"{PurePosixPath(recording.download_name).stem}{path.suffix}"
    return FileResponse(path, filename=own_name)

  def _recording(self, request: Request) -> Recording:
    recording = self._workspace.find(request.path_params["id"])
    if recording is None:
      raise HTTPException(404, "the recording is gone; drop it again")
    return recording

  def _state(self, recording: Recording, status: int = 200) -> Response:
    return JSONResponse(self._workspace.state(recording), status)


def _static(path: str, content: bytes, kind: str) -> Route:
  def answer(_: Request) -> Response:
    return Response(content, media_type=kind)

  return Route(path, answer)


def _html(limits: Limits) -> bytes:
  text = (resources.files(__package__) / "page.html").read_text("utf-8")
  data: dict[str, Any] = {
    "suffixes": sorted(files.SUFFIXES),
    "megabytes": limits.bytes / 1e6,
    "presets": PRESETS,
    "preset": DECLIPPER,
    "networks": [line.split("  ") for line in shipped.describe().splitlines()],
  }
  return text.replace("$data", contents.embedded(data)).encode()


def _shown_name(name: str) -> str:
  """Returns a file's name without folders and control characters."""
  last = one_line(name.replace("\\", "/")).rpartition("/")[2].strip()
  end = PurePosixPath(last).suffix[:10]
  return last.removesuffix(end)[:_NAME_CHARACTERS] + end


def _some_suffixes() -> str:
  return ", ".join(sorted(x[1:].upper() for x in files.FORMATS)) + " …"


def _user_error(_: Request, error: Exception) -> Response:
  return _told(400, str(error))


def _http_error(_: Request, error: HTTPException) -> Response:
  return _told(error.status_code, error.detail)


def _told(status: int, message: str) -> Response:
  content = json.dumps({"error": one_line(message)})
  return Response(content, status, media_type="application/json")
