"""Downloads from a loopback server that cuts, forgets ranges, and lies."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from loopback import serving

from distortion_removal.common import download, log
from distortion_removal.common.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
SIZE = len(CONTENT)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server():
  with serving() as running:
    running.files["/data.tgz"] = CONTENT
    yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch):
  """The seconds waited between tries, without waiting."""
  seconds = []
  monkeypatch.setattr(download.time, "sleep", seconds.append)
  return seconds


@pytest.fixture
def path(tmp_path):
  return tmp_path / "data.tgz"


def partial_of(path, content=None):
  """Returns where a part lies; with `content`, puts that there."""
  partial = path.with_name("data.tgz.partial")
  if content is not None:
    partial.write_bytes(content)
  return partial


def fetch(server, path, checksum=MD5, size=SIZE, **options):
  url = server.url("/data.tgz")
  download.download(url, path, checksum, size=size, **options)


def is_whole(path):
  """Returns whether the file is there, and nothing else."""
  return path.read_bytes() == CONTENT and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("checksum", [MD5, SHA256])
def test_downloads_once_and_says_what_and_where(server, path, capsys, checksum):
  log.setup()
  path = path.parent / "new" / path.name
  fetch(server, path, checksum)
  assert is_whole(path)
  logged = capsys.readouterr().err
  for fact in (server.url("/data.tgz"), checksum, str(path.parent), "300kB"):
    assert fact in logged
  fetch(server, path, checksum)
  assert server.ranges == [None]


def test_a_cut_connection_is_continued(server, path, waits):
  server.cuts = [100_000, 50_000]
  fetch(server, path)
  assert is_whole(path)
  assert server.ranges == [None, "bytes=99999-", "bytes=149998-"]
  assert server.sent == SIZE + 2  # One byte more for each.
  assert waits == [1.0, 1.0]


def test_a_later_run_continues(server, path, waits):
  server.cuts = [120_000, *[1] * 5]
  with pytest.raises(UserError, match="run this again to go on after 120kB"):
    fetch(server, path)
  assert waits == list(download._WAITS_SECONDS[:1] + download._WAITS_SECONDS)
  assert partial_of(path).read_bytes() == CONTENT[:120_000]
  assert not path.exists()
  fetch(server, path)
  assert is_whole(path)
  assert server.ranges[-1] == "bytes=119999-"


@pytest.mark.parametrize(
  ("part", "size", "ranges"),
  [
    (CONTENT, SIZE, []),
    (CONTENT, None, ["bytes=299999-"]),
    (CONTENT + b"more", SIZE, [None]),
  ],
)
def test_only_what_is_missing_is_asked_for(server, path, part, size, ranges):
  partial_of(path, part)
  fetch(server, path, size=size)
  assert is_whole(path)
  assert server.ranges == ranges


def test_a_server_without_ranges_begins_again(server, path):
  server.knows_ranges = False
  server.cuts = [100_000]
  partial_of(path, b"x" * 1000)
  fetch(server, path)
  assert is_whole(path)
  assert server.ranges == ["bytes=999-", "bytes=99999-"]


def test_passing_errors_are_waited_for_and_others_not(server, path, waits):
  server.errors = [503, 429]
  fetch(server, path)
  assert is_whole(path)
  assert waits == list(download._WAITS_SECONDS[:2])
  path.unlink()
  server.errors = [404]
  with pytest.raises(UserError, match="404"):
    fetch(server, path)
  assert (len(server.asked), len(waits)) == (4, 2)


def test_no_server_at_all(path, waits):
  with serving() as gone:
    pass
  message = f"cannot download {gone.url('/data.tgz')}.*refused.* put the file"
  with pytest.raises(UserError, match=f"{message} into {path.parent}"):
    fetch(gone, path)
  assert waits == list(download._WAITS_SECONDS[:1])


def test_other_bytes_are_never_given_the_name(server, path):
  partial_of(path, b"x" * 1000)
  message = f"not the published file .{MD5}. and was deleted"
  with pytest.raises(UserError, match=message):
    fetch(server, path)
  with pytest.raises(UserError, match="offers 300000 bytes, not 299999"):
    fetch(server, path, size=299_999)
  assert not list(path.parent.iterdir())


def test_a_file_that_lies_there_is_checked(server, path):
  path.write_bytes(CONTENT[:1000])
  with pytest.raises(UserError, match=rf"{path}: damaged, .* not {MD5}"):
    fetch(server, path)
  assert path.read_bytes() == CONTENT[:1000]
  path.rename(partial_of(path))  # As the message says.
  fetch(server, path)
  assert is_whole(path)
  assert server.sent == 299_001


def test_a_full_disk_is_noticed_before(server, path, monkeypatch):
  usage = SimpleNamespace(free=200_000)
  monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
  partial_of(path, CONTENT[:100_000])
  with pytest.raises(UserError, match="200kB free, 200kB needed"):
    fetch(server, path)
  assert partial_of(path).read_bytes() == CONTENT[:100_000]
  usage.free = 300_000
  with pytest.raises(UserError, match="300kB free, 301kB needed"):
    fetch(server, path, spare=100_500)
  fetch(server, path, spare=99_999)
  assert is_whole(path)


def test_json(server):
  server.files |= {"/good": b'{"a": [1]}', "/bad": b"<html>"}
  assert download.read_json(server.url("/good")) == {"a": [1]}
  with pytest.raises(UserError, match=r"cannot read .*/bad"):
    download.read_json(server.url("/bad"))
