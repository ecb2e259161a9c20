"""A user's guitar: the paper's tasks, and players that stay on one side."""

import numpy as np
import pytest
from prepared import build, put, splits_of

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import splits

RATE = 16_000
PLAYERS = [f"player {i}" for i in range(12)]


def guitar(folder):
  rng = np.random.default_rng(0)
  for player in PLAYERS:
    for take in ("1.wav", "2.flac"):
      put(folder / player / take, 0.1 * rng.standard_normal((RATE, 2)))
  return folder


def players(builder):
  found = {}
  for name, split in splits_of(builder).items():
    found.setdefault(split, set()).add(name.split("/")[0])
  return found


def test_a_player_is_in_one_split_where_the_pins_say(tmp_path):
  folder = guitar(tmp_path / "in")
  builder = build("ceg", tmp_path / "a", path=str(folder), task="hard_clip")
  expected = splits.assign(PLAYERS)
  assert players(builder) == {s: set(names) for s, names in expected.items()}
  rows = ["file,group,split", "player 3/1.wav,,test", ",player 7,valid"]
  (folder / "splits.csv").write_text("\n".join(rows))
  found = players(build("ceg", tmp_path / "b", path=str(folder)))
  assert (found["test"], found["valid"]) == ({"player 3"}, {"player 7"})
  build("ceg", tmp_path / "b", path=str(folder))  # nothing to do
  (folder / "splits.csv").write_text("\n".join(rows[:2]))
  with pytest.raises(UserError, match="different splits;"):
    build("ceg", tmp_path / "b", path=str(folder))


def test_manual_folder(tmp_path):
  with pytest.raises(UserError, match="--path: not a folder of recordings"):
    build("ceg", tmp_path)
  guitar(tmp_path / "downloads/manual/ceg")
  assert build("ceg", tmp_path).info.splits.total_num_examples == 24
