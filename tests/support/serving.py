"""The local page on a real server on loopback, and requests to it."""

import contextlib
import http.client
import json
import socket
import threading
import time
from urllib.parse import quote

from distortion_removal.audio import files
from distortion_removal.common.log import Progress
from distortion_removal.local_page import server


class Client:
  """Sends requests as the page's own scripts do, unless told otherwise."""

  def __init__(self, port):
    self.port, self.host = port, f"127.0.0.1:{port}"

  def ask(self, method, path, body=None, **headers):
    """The response and its body; headers of None are left out."""
    usual = {"Host": self.host, "Origin": f"http://{self.host}"}
    headers = usual | {k.replace("_", "-"): v for k, v in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    is_stream = not isinstance(body, bytes | None)
    for name, value in headers.items():
      if value is not None:
        connection.putheader(name, value)
    if is_stream:
      connection.putheader("Transfer-Encoding", "chunked")
    elif body is not None:
      connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body, encode_chunked=is_stream)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content

  def json(self, method, path, body=None, **headers):
    answer, content = self.ask(method, path, body, **headers)
    return answer.status, json.loads(content) if content else None

  def upload(self, path, name=None, **headers):
    place = f"/recordings?name={quote(name or path.name, safe='')}"
    return self.json("POST", place, path.read_bytes(), **headers)

  def restore(self, id_, **options):
    place = f"/recordings/{id_}/restoration"
    return self.json("POST", place, json.dumps(options).encode())

  def state(self, id_):
    status, found = self.json("GET", f"/recordings/{id_}")
    assert status == 200
    return found

  def done(self, id_, seconds=30.0):
    """The state when no work is left."""
    end = time.monotonic() + seconds
    while (state := self.state(id_))["work"]:
      assert time.monotonic() < end, state["work"]
      time.sleep(0.01)
    return state

  def opened(self, path, name=None):
    """The state of a recording that was uploaded and looked at."""
    status, found = self.upload(path, name)
    assert status == 201, found
    return self.done(found["id"])

  def file(self, id_, name, **headers):
    return self.ask("GET", f"/recordings/{id_}/files/{name}", **headers)


@contextlib.contextmanager
def serving(folder, restore, *, bytes_=10**6):
  """A client of a page whose recordings lie in `folder`, a new one."""
  folder.mkdir()
  limits = server.Limits(bytes_, "studio.local")
  running = server.server_of(server.app(folder, limits, restore))
  with socket.create_server(("127.0.0.1", 0)) as address:
    thread = threading.Thread(target=running.run, args=([address],))
    thread.start()
    try:
      yield Client(address.getsockname()[1])
    finally:
      running.should_exit = True
      thread.join()


def doubling(source, target, arguments, finish, say, found=None):
  """Stands for a restoration: what is beyond ±0.25 is twice as far from it."""
  del finish, found
  info = files.info(source)
  with files.open_reader(source) as reader:
    blocks = (
      x + (abs(x) > 0.25) * (x - (x > 0) * 0.5 + 0.25)
      for x in reader.blocks(dtype="float64")
    )
    files.write_blocks(
      target,
      blocks,
      info.sample_rate,
      info.channels,
      subtype=arguments["subtype"],
      frames=info.frames,
    )
  say(f"doubled, as {arguments}")


class Slow:
  """A restoration that goes on until it is stopped."""

  def __init__(self):
    self.running = self.most = self.ended = 0
    self.may_finish = threading.Event()

  def __call__(self, source, target, *args, **options):
    self.running += 1
    self.most = max(self.most, self.running)
    try:
      with Progress(1000, "done %.0f %%", unit="step", is_shown=True) as shown:
        for _ in range(500):
          shown.advance(1)
          if self.may_finish.wait(0.005):
            break
      doubling(source, target, *args, **options)
    finally:
      self.running -= 1
      self.ended += 1


def wait_for(what):
  end = time.monotonic() + 10
  while not what():
    assert time.monotonic() < end
    time.sleep(0.005)
