"""A web server on loopback that can fail in the ways that real ones do."""

import contextlib
import http.server
import re
import threading


class Server(http.server.ThreadingHTTPServer):
  """Serves `files`, by path, and notes what was asked for.

  Attributes:
    files: content by path.
    moved: paths that lead to others.
    knows_ranges: whether it honours `Range`.
    cuts: after how many bytes of its body each of the next answers ends.
    errors: statuses of the next answers.
    asked: the path and the `Range` of every request.
    sent: bytes of all bodies.
  """

  daemon_threads = True

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.files, self.moved, self.knows_ranges = {}, {}, True
    self.cuts, self.errors, self.asked, self.sent = [], [], [], 0

  def url(self, path):
    """Returns the address of a path."""
    return f"http://127.0.0.1:{self.server_port}{path}"

  @property
  def ranges(self):
    """The `Range` of every request."""
    return [span for _, span in self.asked]


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    server, span = self.server, self.headers["Range"]
    server.asked.append((self.path, span))
    if self.path in server.moved:
      return self._answer(302, Location=server.moved[self.path])
    if server.errors or self.path not in server.files:
      return self._answer(server.errors.pop(0) if server.errors else 404)
    body = server.files[self.path]
    if not (span and server.knows_ranges):
      return self._answer(200, body)
    start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
    if start >= len(body):
      return self._answer(416)
    return self._answer(
      206,
      body[start:],
      **{"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"},
    )

  def _answer(self, status, body=b"", **headers):
    self.send_response(status)
    for name, value in (headers | {"Content-Length": len(body)}).items():
      self.send_header(name, str(value))
    self.end_headers()
    cuts = self.server.cuts
    body = body[: cuts.pop(0)] if cuts and status < 300 else body
    self.server.sent += len(body)
    self.wfile.write(body)

  def log_message(self, *_):
    """Says nothing."""


@contextlib.contextmanager
def serving():
  """Runs a `Server`."""
  with Server() as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield server
    finally:
      server.shutdown()
      thread.join()
