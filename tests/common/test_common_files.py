"""Files are whole, or as they were."""

import multiprocessing

import pytest

from distortion_removal.common.files import replacing, write_whole


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
