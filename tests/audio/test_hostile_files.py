"""Every hostile file is read as it is meant, or refused in one line."""

import contextlib
import json
import os
import tempfile
import tracemalloc
from pathlib import Path

import hostile_files
import numpy as np
import pytest

from distortion_removal.audio import files
from distortion_removal.audio.files import ffmpeg, parts, speakers

_NOBODY = 65_534


@pytest.fixture
def no_ffmpeg(monkeypatch):
  """It is a process for each file."""
  monkeypatch.setattr(ffmpeg, "is_there", lambda: False)


def _refusal(path):
  with pytest.raises(files.AudioFileError) as caught:
    files.read(path)
  message = str(caught.value)
  assert message == f"{path}: {caught.value.reason}"
  assert "\n" not in caught.value.reason
  return caught.value.reason


def _fault(path, frames):
  """How a file is mishandled; "" if it is read or refused as it should be."""
  try:
    audio, _ = files.read(path)
    counted = files.info(path).frames
  except files.AudioFileError as error:
    is_line = str(error) == f"{path}: {error.reason}" and error.reason
    is_right = frames in (None, hostile_files.EITHER)
    one_line = is_line and "\n" not in error.reason
    return "" if is_right and one_line else f"refused: {error}"
  except Exception as error:
    return repr(error)
  wanted = counted if frames == hostile_files.EITHER else frames
  return "" if len(audio) == counted == wanted else f"{len(audio)} samples"


def _publish(record_property, kind, faults):
  """For experiments/robustness.py."""
  counts = {"tried": len(faults), "mishandled": sum(map(bool, faults))}
  record_property("inputs", json.dumps({"kind": kind} | counts))


def test_each_is_read_or_refused(tmp_path, no_ffmpeg, record_property):
  cases = hostile_files.make_files(tmp_path)
  assert len(cases) > 60
  faults = {case: _fault(case.path, case.frames) for case in cases}
  for kind in dict.fromkeys(case.kind for case in cases):
    of_kind = [fault for case, fault in faults.items() if case.kind == kind]
    _publish(record_property, kind, of_kind)
  assert not {case: fault for case, fault in faults.items() if fault}


def test_every_beginning_of_a_file_is_refused(
  tmp_path, no_ffmpeg, record_property
):
  path, faults = tmp_path / "cut", {}
  for name, content in hostile_files.cut_headers():
    path.write_bytes(content)
    faults[name] = _fault(path, None)
  _publish(record_property, "beginnings of files", list(faults.values()))
  assert not {name: fault for name, fault in faults.items() if fault}


def test_samples_that_32_bits_cannot_hold_are_refused_in_64(tmp_path):
  audio = 1e300 * hostile_files.sound()
  path = tmp_path / "a.wav"
  path.write_bytes(hostile_files.encoded("WAV", audio, subtype="DOUBLE"))
  with (
    files.open_reader(path) as reader,
    pytest.raises(files.AudioFileError, match=r"beyond 3\.4e\+38"),
  ):
    list(reader.blocks(dtype="float64"))


def test_a_small_file_of_many_channels_takes_little_memory(tmp_path):
  """A block of a usual length would take half a gigabyte."""
  path = tmp_path / "a.wav"
  audio = hostile_files.sound(2, channels=1_000)
  path.write_bytes(hostile_files.encoded("WAV", audio, subtype="FLOAT"))
  tracemalloc.start()
  with files.open_reader(path) as reader:
    (block,) = reader.blocks(dtype="float64")
  _, peak_bytes = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  np.testing.assert_array_equal(block, np.float32(audio))
  assert peak_bytes < 1 << 20


@pytest.mark.parametrize("format_", ["AU", "CAF"])
def test_a_cut_file_of_a_format_without_a_check_of_its_own(tmp_path, format_):
  content = hostile_files.encoded(format_)
  path = tmp_path / "a"
  path.write_bytes(content[:-500])
  assert _refusal(path).startswith("truncated")
  if format_ == "AU":  # from a pipe, the size is all ones
    path.write_bytes(hostile_files.patched(content, 8, b"\xff" * 4))
    assert len(files.read(path)[0]) == hostile_files.FRAMES


@pytest.mark.parametrize(
  ("mask", "expected"),
  [
    ("0x0003", 3),
    ("0xFFFFFFFF", 2**32 - 1),
    ("0x1FFFFFFFF", None),
    ("-1", None),
    ("loud", None),
    ("", None),
  ],
)
def test_masks_of_speakers(tmp_path, mask, expected):
  import mutagen

  path = tmp_path / "a.flac"
  path.write_bytes(hostile_files.encoded("FLAC"))
  tagged = mutagen.File(path)
  tagged[speakers.MASK_COMMENT] = mask
  tagged.save()
  with files.open_reader(path) as reader:
    layout = speakers.layout_of(reader, path)
  found = layout and int.from_bytes(layout, "little")
  assert found == expected


def test_links_of_an_ogg_chain_with_the_last_one_cut(tmp_path):
  """Within the first 27 bytes, there is no table of segments yet."""
  content = hostile_files.encoded("OGG")
  path = tmp_path / "a.ogg"
  for size in (10, 26, 27):
    path.write_bytes(content + content[:size])
    found = [part.start for part in parts.find_parts(path)]
    assert found == [0, len(content)][: 1 + (size == 27)]


@contextlib.contextmanager
def _as_nobody():
  """Root may read everything."""
  if os.geteuid():
    yield
    return
  os.seteuid(_NOBODY)
  try:
    yield
  finally:
    os.seteuid(0)


def test_without_permission():
  # pytest's own folders are closed to others.
  with tempfile.TemporaryDirectory() as name:
    path = Path(name, "a.wav")
    path.write_bytes(hostile_files.encoded("WAV"))
    path.chmod(0)
    Path(name).chmod(0o755)
    with _as_nobody():
      assert _refusal(path) == "permission denied"
    path.chmod(0o644)
    with _as_nobody():
      audio, _ = files.read(path)
  assert np.abs(audio - hostile_files.sound()).max() < 2**-14
