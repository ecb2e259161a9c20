"""A web server on loopback that can fail in the ways that real ones do."""

import contextlib
import http.server
import re
import threading


class Server(http.server.ThreadingHTTPServer):
  """Serves `files`, by path, and notes what was asked for.

  Attributes:
    files: content by path.
    knows_ranges: whether it honours `Range`.
    cuts: after how many bytes of its body each of the next answers ends.
    errors: statuses of the next answers.
    asked: the path and the `Range` of every request.
    sent: bytes of all bodies.
  """

  def __init__(self):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.files, self.knows_ranges, self.sent = {}, True, 0
    self.cuts, self.errors, self.asked = [], [], []

  def url(self, path):
    return f"http://127.0.0.1:{self.server_port}{path}"

  @property
  def ranges(self):
    return [span for _, span in self.asked]


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    server, span = self.server, self.headers["Range"]
    server.asked.append((self.path, span))
    if server.errors or self.path not in server.files:
      return self._answer(server.errors.pop(0) if server.errors else 404)
    body = server.files[self.path]
    if not (span and server.knows_ranges):
      return self._answer(200, body)
    start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
    return self._answer(206 if start < len(body) else 416, body[start:])

  def _answer(self, status, body=b""):
    self.send_response(status)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    cuts = self.server.cuts
    body = body[: cuts.pop(0)] if cuts and status < 300 else body
    self.server.sent += len(body)
    self.wfile.write(body)

  def log_message(self, *_):
    pass


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
