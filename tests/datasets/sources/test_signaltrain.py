"""The data set's layout in small, from a loopback server and from the disk."""

import gzip
import hashlib
import io
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from loopback import serving
from prepared import build as build_any
from prepared import records

from distortion_removal.common import download, log
from distortion_removal.common.errors import UserError
from distortion_removal.datasets.sources import signaltrain

RATE = 44_100
SPLIT = {"Train": "train", "Val": "valid", "Test": "test"}


def recordings():
  rng = np.random.default_rng(0)
  files = {"effect_info.ini": b"[effect]\n", "._Train": b"of a Mac"}
  lengths = [("Train", 2.5), ("Train", 1.5), ("Val", 1.25), ("Test", 2.0)]
  for number, (folder, seconds) in enumerate(lengths, 137):
    audio = rng.uniform(-0.5, 0.5, (round(seconds * RATE), 1))
    for kind, scale in (("input_{}_", 1.0), ("target_{}_LA2A_3c__0__5", 0.2)):
      file = io.BytesIO()
      soundfile.write(file, scale * audio, RATE, "FLOAT", format="WAV")
      files[f"{folder}/{kind.format(number)}.wav"] = file.getvalue()
  return files


FILES = recordings()
INPUTS = sorted(name for name in FILES if "input_" in name)


def pack(members):
  """Makes a .tgz of names to contents, or to a kind and target of a link."""
  out = io.BytesIO()
  with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
    for name, content in members.items():
      entry = tarfile.TarInfo(name)
      if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
      else:
        entry.type, entry.linkname = content
        tar.addfile(entry)
  return out.getvalue()


@pytest.fixture(scope="module")
def packed():
  return pack({f"{signaltrain.NAME}/{name}": FILES[name] for name in FILES})


@pytest.fixture
def server(packed, monkeypatch):
  monkeypatch.setattr(download.time, "sleep", lambda _: None)
  with serving() as running:
    running.files["/a.tgz"] = packed
    publish(running, checksum=f"md5:{hashlib.md5(packed).hexdigest()}")
    monkeypatch.setattr(signaltrain, "URL", running.url("/a.tgz"))
    monkeypatch.setattr(signaltrain, "RECORD_API", running.url("/record"))
    yield running


def publish(server, checksum):
  size = len(server.files["/a.tgz"])
  file = {"key": signaltrain.ARCHIVE, "size": size, "checksum": checksum}
  record = {"files": [{"key": "other.txt", "checksum": "md5:0"}, file]}
  server.files["/record"] = json.dumps(record).encode()


def unpack(folder, names=tuple(FILES)):
  for name in names:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(FILES[name])


def build(data_dir, overwrite=False, **options):
  form = {"sample_rate": RATE, "excerpt_seconds": 1.0}
  return build_any("signaltrain", data_dir, overwrite, **form, **options)


def check(builder):
  """Compares every excerpt with the file and the folder it is from."""
  found = records(builder)
  assert {key.partition("#")[0] for key in found} == set(INPUTS)
  assert len(found) == 2 + 1 + 1 + 2
  for key, record in found.items():
    name, number = key.split("#")
    assert record["split"] == SPLIT[name.partition("/")[0]]
    audio, _ = soundfile.read(io.BytesIO(FILES[name]), always_2d=True)
    np.testing.assert_allclose(
      record["clean"] * record["peak"],
      audio[int(number) * RATE :][:RATE],
      rtol=0,
      atol=0.5 / 32767,
    )


def downloads(data_dir):
  return data_dir / "downloads" / "signaltrain"


@pytest.mark.e2e
def test_from_the_web_with_a_cut(server, packed, tmp_path, capsys):
  log.setup()
  server.cuts = [len(server.files["/record"]), len(packed) // 2]
  builder = build(tmp_path)
  check(builder)
  assert builder.name == "signaltrain"
  assert builder.builder_config.task.name == "hard_clip_sdr"
  half = f"bytes={len(packed) // 2 - 1}-"
  assert server.asked == [("/record", None), ("/a.tgz", None), ("/a.tgz", half)]
  assert hashlib.md5(packed).hexdigest() in capsys.readouterr().err
  # Prepared: neither the network nor the other recordings are needed again.
  folder = downloads(tmp_path)
  (folder / signaltrain.ARCHIVE).unlink()
  unpacked = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
  assert sorted(p.as_posix() for p in unpacked) == [
    f"{signaltrain.NAME}/{name}" for name in INPUTS
  ]
  server.asked.clear()
  check(build(tmp_path))
  check(build(tmp_path, overwrite=True, offline=True))
  assert not server.asked


@pytest.mark.parametrize("place", ["downloads", "archive", "folder"])
def test_offline_from_an_archive(server, packed, tmp_path, place):
  folder = {"downloads": downloads(tmp_path)}.get(place, tmp_path / "here")
  folder.mkdir(parents=True)
  file = folder / signaltrain.ARCHIVE
  file.write_bytes(packed)
  path = {"downloads": "", "archive": file, "folder": folder}[place]
  check(build(tmp_path, path=str(path), offline=True))
  assert not server.asked
  assert file.read_bytes() == packed


@pytest.mark.parametrize("inner", ["", signaltrain.NAME])
def test_from_an_unpacked_folder(server, tmp_path, inner):
  """Half a copy is told, by its splits, or as another source."""
  path, folder = str(tmp_path / "here"), tmp_path / "here" / inner
  unpack(folder, INPUTS[:3])
  with pytest.raises(UserError, match=r"no input_\*\.wav in Val"):
    build(tmp_path, path=path)
  unpack(folder)
  check(build(tmp_path, path=path))
  (folder / INPUTS[1]).unlink()
  with pytest.raises(UserError, match="different files, content"):
    build(tmp_path, path=path)
  assert not server.asked
  assert not downloads(tmp_path).exists()


def test_offline_and_nothing_there_says_what_to_put_where(server, tmp_path):
  place = downloads(tmp_path)
  message = f"^{place / signaltrain.ARCHIVE}: not there.*get {signaltrain.URL}"
  with pytest.raises(UserError, match=f"{message} .* put it into {place}"):
    build(tmp_path, offline=True)
  assert not server.asked


def test_room_to_unpack_is_asked_for(server, packed, tmp_path, monkeypatch):
  usage = SimpleNamespace(free=2 * len(packed) - 1)
  monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
  with pytest.raises(UserError, match=r"MB? free, .*MB? needed"):
    build(tmp_path)


def test_another_path_and_compressed_targets_are_refused(tmp_path):
  for path in (tmp_path, tmp_path / "none.tgz"):
    with pytest.raises(UserError, match="a folder with Train, Val, Test; get"):
      build(tmp_path / "data", path=str(path))
  with pytest.raises(UserError, match=r"only its input_\*.wav are clean"):
    build(tmp_path, include="*.wav")


def test_zenodo_out_of_reach_or_of_another_checksum(
  server, tmp_path, monkeypatch
):
  for checksum, message in (
    ("sha512:00", f"tells no MD5 of {signaltrain.ARCHIVE}"),
    (f"md5:{0:032x}", "is not the published file"),
  ):
    publish(server, checksum)
    with pytest.raises(UserError, match=message):
      build(tmp_path)
    assert not any(path.is_file() for path in downloads(tmp_path).rglob("*"))
  with serving() as gone:
    monkeypatch.setattr(signaltrain, "RECORD_API", gone.url("/record"))
  with pytest.raises(UserError, match=r"refused.* or get .* put it"):
    build(tmp_path)


CONTENT = np.random.default_rng(0).bytes(5_000_000)
WANTED = "Train/input_1_.wav"
GOOD = {f"/a/{WANTED}": CONTENT, "a/other": CONTENT, "./Val/input_2_.wav": b"x"}


def refused(folder, packed, match):
  path = folder / "a.tgz"
  path.write_bytes(packed)
  with pytest.raises(UserError, match=match) as caught:
    signaltrain.unpack(path, folder / "out")
  assert str(caught.value).startswith(f"{path}: ")
  assert list(folder.iterdir()) == [path]


def test_unpacks_what_is_wanted(tmp_path):
  # Left behind by a process that was killed.
  (tmp_path / "out.partial").mkdir()
  (tmp_path / "out.partial" / "input_0_.wav").touch()
  (tmp_path / "a.tgz").write_bytes(pack(GOOD))
  signaltrain.unpack(tmp_path / "a.tgz", tmp_path / "out")
  out = tmp_path / "out"
  found = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.*")}
  assert found == {WANTED: CONTENT, "Val/input_2_.wav": b"x"}
  assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999999])
def test_truncated(tmp_path, share):
  packed = pack(GOOD)
  packed = packed[: int(share * len(packed))]
  refused(tmp_path, packed, "truncated" if share else "truncated|no .tgz")


@pytest.mark.parametrize("place", [0, 2_000_000, 8_000_000, -6, -2])
def test_altered(tmp_path, place):
  """In the header, in what is taken, in what is not, in CRC and length."""
  altered = bytearray(pack(GOOD))
  altered[place] ^= 4
  refused(tmp_path, altered, "altered, or no .tgz")


def test_altered_long_after_the_last_member(tmp_path):
  """Where tarfile no longer reads, the checksum still counts."""
  whole = gzip.decompress(pack(GOOD)) + bytes(3_000_000)
  altered = bytearray(gzip.compress(whole, compresslevel=1))
  altered[-5] ^= 1
  refused(tmp_path, altered, "CRC check failed")


@pytest.mark.parametrize(
  ("members", "match"),
  [
    ({f"../{WANTED}": b"x"}, "outside the destination"),
    ({f"a/../../{WANTED}": b"x"}, "outside the destination"),
    ({"../any": b"x"}, "outside the destination"),
    ({WANTED: (tarfile.SYMTYPE, "/etc/motd")}, f"'{WANTED}'"),
    ({WANTED: (tarfile.LNKTYPE, "/etc/motd")}, f"'{WANTED}'"),
    ({WANTED: (tarfile.FIFOTYPE, "")}, f"'{WANTED}'"),
    ({"other": b"x"}, "none of the files"),
  ],
)
def test_members_that_are_unsafe_or_not_wanted(tmp_path, members, match):
  refused(tmp_path, pack(members), match)


def test_no_archive(tmp_path):
  refused(tmp_path, gzip.compress(b"not a tar" * 1000), "altered, or no .tgz")
