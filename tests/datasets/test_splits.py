"""Groups stay together, hashes decide, and `splits.csv` has the last word."""

import hashlib
import itertools
import os
import pathlib

import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits


def test_hash_splits_follow_the_documented_rule():
  names = [f"song {i}.wav" for i in range(300)]
  sides = splits.assign(names)
  for split, members in sides.items():
    for name in members:
      digest = hashlib.sha256(name.encode()).hexdigest()
      tenth = int(digest, 16) / 2**256
      expected = "train" if tenth < 0.8 else "valid" if tenth < 0.9 else "test"
      assert split == expected
  assert 210 < len(sides["train"]) < 270


@pytest.mark.parametrize("count", [1, 2, 3, 4, 19])
def test_few_files_fill_every_split_they_can(count):
  for start in range(20):
    names = [f"{start + i}.wav" for i in range(count)]
    sides = splits.assign(names)
    assert sorted(itertools.chain(*sides.values())) == sorted(names)
    assert sides["train"]
    assert sum(map(bool, sides.values())) == min(count, 3)


def test_missing_split_is_taken_from_train_only():
  names = [f"{side}/{i}.wav" for side in ("train", "test") for i in range(100)]
  sides = splits.assign(names)
  assert sides["test"] == sorted(names[100:])
  assert 0 < len(sides["valid"]) < 25
  assert sorted(sides["train"] + sides["valid"]) == sorted(names[:100])


def pins(tmp_path, text, names):
  path = tmp_path / "splits.csv"
  path.write_text(text, encoding="utf-8", errors="surrogateescape")
  return splits.read_pins(path, names, splits.top_folder)


NAMES = ["anna/1.wav", "anna/2.wav", "bob/1.wav", "carl/1.wav", "duo/1.wav"]


def test_csv_pins_files_and_groups(tmp_path):
  text = "\ufefffile, group, split\nduo/*.wav,anna,\n,anna,Test\n"
  found = pins(tmp_path, text + "carl/1.wav,,val\n", NAMES)
  assert found.groups["duo/1.wav"] == "anna"
  assert found.sides == {"anna": "test", "carl": "valid"}
  assert splits.assign(NAMES, found) == {
    "train": ["bob/1.wav"],
    "valid": ["carl/1.wav"],
    "test": ["anna/1.wav", "anna/2.wav", "duo/1.wav"],
  }


def test_csv_names_files_in_any_locale(tmp_path, monkeypatch):
  """Here it is ASCII: Python lists other bytes as surrogates."""
  monkeypatch.setattr(
    os, "fsdecode", lambda x: x.decode("ascii", "surrogateescape")
  )
  names = [os.fsdecode(name.encode()) for name in ("é.wav", "音.wav")]
  found = pins(tmp_path, "file,split\né.wav,test\n音.wav,valid\n", names)
  assert found.sides == dict(zip(names, ("test", "valid"), strict=True))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("name,side\na,b", "the first line must be file,group,split"),
    ("file,split\nanna/1.wav,tset", "line 2 needs .* a split of train"),
    ("file,split\n,test", "line 2 needs a file or a group"),
    ("file,split\nanna/3.wav,test", "no recording is left for 'anna/3.wav'"),
    ("file,split\n*,test\nanna/1.wav,train", "left for 'anna/1.wav'"),
    ("group,split\neve,test", "no recording has the group 'eve'"),
    ("file,split\nanna/1.wav,test\nanna/2.wav,train", "'anna' is pinned to t"),
    ("file,split\nJ\udce4ger.wav,test", r"splits\.csv: not in UTF-8"),
  ],
)
def test_mistakes_in_the_csv(tmp_path, text, message):
  with pytest.raises(UserError, match=message):
    pins(tmp_path, text, NAMES)


def test_the_first_row_that_fits_counts_however_it_is_written(tmp_path):
  """As trying every row on every recording, literally or as a glob, would."""
  names = ["a/b/1.wav", "b/1.wav", "c/1.wav", "d/1.wav"]
  names += ["c/take[1].wav", "c/take1.wav"]
  files = ["take[1].wav", "b/1.wav", "c/take[1].wav", "./c//1.wav", "*/1.wav"]
  tried = 0
  for order in itertools.permutations(files):
    rows = "".join(f"{file},g{i}\n" for i, file in enumerate(order))
    expected = {
      name: next(
        f"g{i}"
        for i, file in enumerate(order)
        if name == file or pathlib.PurePosixPath(name).match(file)
      )
      for name in names
    }
    if len(set(expected.values())) < len(order):
      continue  # A row that is left without a recording is a mistake.
    assert pins(tmp_path, f"file,group\n{rows}", names).groups == expected
    tried += 1
  assert tried > 10


def test_pins_to_train_hold_and_beat_folders(tmp_path):
  """The splits without a pin are filled from the others only."""
  text = "group,split\nanna,train\nbob,train\ncarl,train\n"
  for names in (NAMES, [f"test/{name}" for name in NAMES]):
    sides = splits.assign(names, pins(tmp_path, text, names))
    assert sides["train"] == names[:4]
    assert sorted(sides["valid"] + sides["test"]) == names[4:]


def test_a_group_is_the_top_folder_and_in_one_split():
  for name, group in {
    "anna/song/take.wav": "anna",
    "Test/anna/take.wav": "anna",
    "test/take.wav": "test/take.wav",
    "take.wav": "take.wav",
  }.items():
    assert splits.top_folder(name) == group
  groups = {"train/anna/1.wav": "anna", "test/anna/2.wav": "anna"}
  with pytest.raises(UserError, match="group 'anna': train/anna"):
    splits.assign(groups, splits.Pins(groups))
