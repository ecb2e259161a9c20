"""Files are whole, or as they were."""

import multiprocessing
import os

import pytest

from distortion_removal.common.files import (
  as_text,
  one_line,
  replacing,
  write_whole,
)


@pytest.mark.parametrize(
  ("name", "text", "line"),
  [
    (b"caf\xe9.wav", r"caf\xe9.wav", r"caf\xe9.wav"),
    ("café 音.wav".encode(), "café 音.wav", "café 音.wav"),
    (b"a\nb\x1b[31m\xc2\x85", "a\nb\x1b[31m\x85", r"a\nb\x1b[31m\x85"),
    ("a\u2028\u3000b".encode(), "a\u2028\u3000b", "a\\u2028\u3000b"),
  ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_is_text_in_any_locale(name, text, line, encoding):
  """Python decodes names as the locale does, with surrogates."""
  path = name.decode(encoding, "surrogateescape")
  assert as_text(path) == as_text(name) == text
  assert one_line(path) == one_line(name) == line


def test_half_a_character_is_escaped():
  assert as_text("a\ud83d") == r"a\ud83d"


@pytest.mark.parametrize("name", ["n" * 255, "音" * 85, b"\xe9" * 255])
def test_a_name_of_any_length_can_be_replaced(tmp_path, name):
  """255 bytes are the most that file systems allow."""
  path = tmp_path / os.fsdecode(name)
  for content in ("before", "after \udce9"):
    write_whole(path, content)
  assert path.read_bytes() == b"after \\xe9"
  path.unlink()
  for _ in range(2):
    with replacing(path) as partial:
      partial.mkdir()
  assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
  path = tmp_path / "a.json"
  write_whole(path, b"any")
  write_whole(path, "bef\u00f6re")

  def full(self, content):
    self.touch()
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(type(path), "write_bytes", full)
  with pytest.raises(OSError, match="No space"):
    write_whole(path, "after")
  assert path.read_bytes() == b"bef\xc3\xb6re"
  assert list(tmp_path.iterdir()) == [path]


def _write_often(path, letter):
  for _ in range(300):
    write_whole(path, letter * 1000)


def test_processes_that_write_the_same_file_do_not_meet(tmp_path):
  path = tmp_path / "a.json"
  context = multiprocessing.get_context("spawn")
  writers = [
    context.Process(target=_write_often, args=(path, letter)) for letter in "xy"
  ]
  for writer in writers:
    writer.start()
  for writer in writers:
    writer.join()
  assert [writer.exitcode for writer in writers] == [0, 0]
  assert path.read_text() in ("x" * 1000, "y" * 1000)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
  folder = tmp_path / "folder"
  for name in "ab":
    with replacing(folder) as partial:
      partial.mkdir()
      (partial / name).touch()
    assert [path.name for path in folder.iterdir()] == [name]
  with pytest.raises(ZeroDivisionError), replacing(folder) as partial:
    partial.mkdir()
    raise ZeroDivisionError
  assert [path.name for path in tmp_path.rglob("*")] == ["folder", "b"]
