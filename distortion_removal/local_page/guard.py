"""Keeps other sites out: a browser lets them send requests to any address.

A site whose name is made to point here (DNS rebinding) is told by the Host that
it is asked for; a form or a script of another site, by its Origin.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
  # Nothing but what comes from here; `data:` for an icon and a moment of
  # silence, see player.js.
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  ),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  # Recordings stay out of the browser's cache.
  "Cache-Control": "no-store",
}
_READING = ("GET", "HEAD")


class Guard:
  """Refuses requests that other sites may have made; adds headers to answers.

  Attributes:
    host: name that the page may be asked for, besides localhost and addresses
      in numbers, which no one can make point elsewhere.
  """

  def __init__(self, app: ASGIApp, host: str):
    self.app, self.host = app, host

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers as the app does, unless the request is refused."""
    if scope["type"] != "http":
      await self.app(scope, receive, send)
      return

    async def send_guarded(message: Message) -> None:
      if message["type"] == "http.response.start":
        MutableHeaders(scope=message).update(_HEADERS)
      await send(message)

    reason = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
    answer = PlainTextResponse(reason, 403) if reason else self.app
    await answer(scope, receive, send_guarded)

  def _refusal(self, method: str, path: str, headers: Headers) -> str:
    """Returns why a request is refused; "" if it is not."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not self._is_ours(hosts[0]):
      return "unknown host; open the address that the command has printed"
    if not origins and method not in _READING:
      return "the request has no origin"
    if any(origin != f"http://{hosts[0]}" for origin in origins):
      return "the request comes from another site"
    # Whoever follows a link from elsewhere gets the empty page, and no more.
    site = headers.get("sec-fetch-site", "none")
    is_link = method in _READING and path == "/"
    if site not in ("none", "same-origin") and not is_link:
      return "the request comes from another site"
    return ""

  def _is_ours(self, host: str) -> bool:
    try:
      name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
      return False
    if name in ("localhost", self.host.lower()):
      return True
    try:
      ipaddress.ip_address(name)
    except ValueError:
      return False
    return True
