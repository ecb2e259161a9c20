"""A user's guitar: the paper's tasks, and players that stay on one side."""

import shutil

import numpy as np
import pytest
import soundfile

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, splits, stored
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.sources import ceg

RATE = 44_100
PLAYERS = [f"player {i}" for i in range(12)]


@pytest.fixture(scope="module")
def guitar(tmp_path_factory):
  """Two takes of each of twelve players."""
  folder = tmp_path_factory.mktemp("guitar")
  rng = np.random.default_rng(0)
  for player in PLAYERS:
    (folder / player).mkdir()
    for take in ("1.wav", "2.flac"):
      audio = 0.1 * rng.standard_normal((RATE, 2))
      soundfile.write(folder / player / take, audio, RATE)
  return folder


def build(path, data_dir, task="overdrive"):
  return prepare(
    opening.open_builder(
      "ceg", task=task, data_dir=str(data_dir), path=str(path or "")
    )
  )


def players(builder):
  """The players of each split."""
  return {
    split: {
      record["id"].decode().split("/")[0]
      for record in stored.read_split(builder, split)
    }
    for split in builder.info.splits
  }


def test_the_papers_tasks_are_the_configs():
  configs = {config.name: config for config in ceg.Ceg.BUILDER_CONFIGS}
  assert list(configs) == ["overdrive", "hard_clip"]
  for config in configs.values():
    assert config.task.train_levels == (20, 50)
    assert config.task.evaluation_levels == (20, 25, 30, 35, 40, 45, 50)
    assert config.task.clean_peak == 0.5
    assert (config.sample_rate, config.channels) == (16_000, 1)


def test_a_player_is_in_one_split(guitar, tmp_path):
  found = players(build(guitar, tmp_path, "hard_clip"))
  expected = splits.assign(PLAYERS)
  assert found == {split: set(names) for split, names in expected.items()}
  assert all(found.values())


def test_pins(guitar, tmp_path):
  folder = shutil.copytree(guitar, tmp_path / "in")
  rows = ["file,group,split", "player 3/1.wav,,test", ",player 7,valid"]
  (folder / "splits.csv").write_text("\n".join(rows))
  found = players(build(folder, tmp_path / "out"))
  assert found["test"] == {"player 3"}
  assert found["valid"] == {"player 7"}
  assert build(folder, tmp_path / "out").report == {}  # nothing to do
  (folder / "splits.csv").write_text("\n".join(rows[:2]))
  with pytest.raises(UserError, match="different splits;"):
    build(folder, tmp_path / "out")


def test_manual_folder(guitar, tmp_path):
  with pytest.raises(UserError, match="--path: not a folder of recordings"):
    build("", tmp_path)
  (tmp_path / "downloads/manual").mkdir(parents=True)
  (tmp_path / "downloads/manual/ceg").symlink_to(guitar)
  builder = build("", tmp_path)
  assert builder.info.splits.total_num_examples == 24
