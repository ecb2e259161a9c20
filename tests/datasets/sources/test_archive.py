"""Archives that are whole, cut, altered, or mean harm."""

import gzip
import io
import tarfile
from pathlib import PurePosixPath

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.sources import archive

CONTENT = np.random.default_rng(0).bytes(5_000_000)


def pack(path, members):
  """Writes a .tgz of name to content, or to a `TarInfo` without any."""
  with tarfile.open(path, "w:gz", compresslevel=1) as tar:
    for name, content in members.items():
      entry = tarfile.TarInfo(name)
      if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
      else:
        entry.type, entry.linkname = content
        tar.addfile(entry)
  return path


def unpack(path, folder):
  """Takes the files called `want…`, without their folders."""

  def place(name):
    return PurePosixPath(name.name) if name.name.startswith("want") else None

  archive.unpack(path, folder, place)


@pytest.fixture
def good(tmp_path):
  return pack(
    tmp_path / "good.tgz",
    {"/a/want1": CONTENT, "a/other": CONTENT, "./b/want2": b"x", "d": b""},
  )


def refused(path, match):
  """Checks that unpacking is refused and leaves nothing behind."""
  with pytest.raises(UserError, match=match) as caught:
    unpack(path, path.parent / "out")
  assert str(caught.value).startswith(f"{path}: ")
  assert not [p for p in path.parent.iterdir() if p.is_dir()]


def test_takes_what_is_wanted(good, tmp_path):
  # Left behind by a process that was killed.
  (tmp_path / "out.partial").mkdir()
  (tmp_path / "out.partial" / "want0").touch()
  unpack(good, tmp_path / "out")
  found = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
  assert found == {"want1": CONTENT, "want2": b"x"}
  assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("share", [0.3, 0.999999])
def test_truncated(good, share):
  whole = good.read_bytes()
  good.write_bytes(whole[: int(share * len(whole))])
  refused(good, "truncated; delete it and get it again")


@pytest.mark.parametrize("place", [0, 2_000_000, 8_000_000, -6, -2])
def test_altered(good, place):
  """In the header, in what is taken, in what is not, in CRC and length."""
  altered = bytearray(good.read_bytes())
  altered[place] ^= 4
  good.write_bytes(altered)
  refused(good, "altered, or no .tgz")


def test_altered_long_after_the_last_member(good):
  """Where tarfile no longer reads, the checksum still counts."""
  with gzip.open(good) as file:
    padded = gzip.compress(file.read() + bytes(3_000_000), compresslevel=1)
  good.write_bytes(padded[:-5] + bytes([padded[-5] ^ 1]) + padded[-4:])
  refused(good, "CRC check failed")


@pytest.mark.parametrize(
  "content",
  # Names of tests must not depend on the time, which gzip stores.
  [b"", b"not an archive", gzip.compress(b"not a tar" * 1000, mtime=0)],
)
def test_no_archive(tmp_path, content):
  path = tmp_path / "any.tgz"
  path.write_bytes(content)
  refused(path, "truncated|altered, or no .tgz")


@pytest.mark.parametrize(
  ("members", "match"),
  [
    ({"../want": b"x"}, "outside the destination"),
    ({"a/../../want": b"x"}, "outside the destination"),
    ({"../any": b"x"}, "outside the destination"),
    ({"want1": b"x", "want2": (tarfile.SYMTYPE, "/etc/motd")}, "'want2'"),
    ({"want1": b"x", "want2": (tarfile.LNKTYPE, "/etc/motd")}, "'want2'"),
    ({"want1": b"x", "want2": (tarfile.FIFOTYPE, "")}, "'want2'"),
    ({"other": b"x"}, "none of the files"),
  ],
)
def test_members_that_are_unsafe_or_not_wanted(tmp_path, members, match):
  refused(pack(tmp_path / "a.tgz", members), match)
