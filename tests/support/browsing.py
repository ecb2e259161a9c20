"""A real browser for the page's tests, and a web server on loopback."""

import contextlib
import functools
import http.server
import shutil
import threading

import pytest

_OPTIONS = (
  "--autoplay-policy=no-user-gesture-required",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
)
# The audible deck, in JavaScript.
HEARD = """[...document.querySelectorAll("audio")].find(
  (deck) => !deck.paused && !deck.muted && deck.dataset.sound)"""


@contextlib.contextmanager
def chromium():
  """Debian's chromium without a window; the test skips where there is none."""
  sync_api = pytest.importorskip("playwright.sync_api")
  if not (path := shutil.which("chromium")):
    pytest.skip("needs chromium (apt-get install chromium)")
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(
      executable_path=path, args=list(_OPTIONS)
    )
    yield browser
    browser.close()


@contextlib.contextmanager
def opened(browser, url, **options):
  """A page that must not complain nor ask elsewhere; options: its context's."""
  context = browser.new_context(**options)
  page = context.new_page()
  page.set_default_timeout(10_000)
  said, asked = [], []
  page.on("console", lambda message: said.append(message.text))
  page.on("pageerror", lambda error: said.append(str(error)))
  page.on("request", lambda request: asked.append(request.url))
  page.goto(url)
  yield page
  context.close()
  assert said == []
  own = (url.partition("?")[0].rpartition("/")[0] + "/", "data:", "blob:")
  assert [address for address in asked if not address.startswith(own)] == []


@contextlib.contextmanager
def served(folder):
  """The address of a folder on a web server that knows no ranges."""
  handler = functools.partial(_Handler, directory=str(folder))
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield f"http://127.0.0.1:{server.server_port}"
    finally:
      server.shutdown()
      thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *_):
    """Says nothing."""
