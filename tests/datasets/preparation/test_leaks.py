"""A leak is caught: by name, by group and by sound, on every builder."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from distortion_removal.datasets.preparation.parts import Part

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening, stored
from distortion_removal.datasets.preparation import leaks
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.sources import builder as base
from distortion_removal.datasets.sources import rendered


@dataclasses.dataclass
class Excerpt:
  id: str
  group: str
  digest: str


def test_a_double_stays_where_it_is_tested_on():
  members = {
    "train": [Excerpt("a", "1", "x"), Excerpt("b", "1", "y")],
    "valid": [Excerpt("c", "2", "x"), Excerpt("d", "2", "z")],
    "test": [Excerpt("e", "3", "z"), Excerpt("f", "3", "z")],
  }
  kept, doubles = leaks.without_leaks(members)
  assert {k: [e.id for e in v] for k, v in kept.items()} == {
    "train": ["b"],
    "valid": ["c"],
    "test": ["e", "f"],
  }
  assert doubles == [
    {"excerpt": "d", "split": "valid", "same_as": "e", "in": "test"},
    {"excerpt": "a", "split": "train", "same_as": "c", "in": "valid"},
  ]


def test_names_and_groups_on_two_sides_are_refused():
  with pytest.raises(UserError, match="id 'a' is in train and in test"):
    leaks.without_leaks(
      {"train": [Excerpt("a", "1", "x")], "test": [Excerpt("a", "2", "y")]}
    )
  with pytest.raises(UserError, match="group 'g' is in train and in valid"):
    leaks.without_leaks(
      {"train": [Excerpt("a", "g", "x")], "valid": [Excerpt("b", "g", "y")]}
    )


def examples(names, features):
  """Noise that depends on the name's first letter alone, as any features."""
  for name in names:
    audio = np.random.default_rng(ord(name[0])).uniform(-1, 1, (16_000, 1))
    example = base.to_example(f"{name}#000", audio.astype(np.float32))
    for key, feature in features.items():
      value = example["clean"] if feature.shape else example["peak"]
      example.setdefault(key, np.asarray(value, feature.np_dtype))
    yield example


@pytest.mark.parametrize("dataset", opening.DATASETS)
def test_every_builder_is_checked(tmp_path, monkeypatch, dataset):
  """Whatever a builder delivers: test's `a` is trained on under no name."""
  builder = opening.open_builder(
    dataset, task="overdrive", data_dir=str(tmp_path)
  )
  members = {"train": ["a1", "b1", "a2"], "valid": ["c1"], "test": ["a3"]}

  def deliver(_):
    return [
      Part(split, functools.partial(examples, names, builder.info.features), "")
      for split, names in members.items()
    ]

  kind = type(builder)
  monkeypatch.setattr(kind, "parts", deliver)
  monkeypatch.setattr(kind, "assign", lambda _, names: {n: [n] for n in names})
  monkeypatch.setattr(kind, "group", base.CleanAudioBuilder.group)
  monkeypatch.setattr(kind, "source", lambda _: {})
  prepared = prepare(builder)
  found = {
    split: [r["id"] for r in stored.read_split(prepared, split)]
    for split in members
  }
  assert found == {
    "train": [b"b1#000"],
    "valid": [b"c1#000"],
    "test": [b"a3#000"],
  }
  members["train"][1] = "c1"
  (tmp_path / "again").mkdir()
  again = kind(config=builder.builder_config, data_dir=tmp_path / "again")
  with pytest.raises(UserError, match="id 'c1#000' is in train and in valid"):
    prepare(again)


def put(path, seed):
  """Two seconds of noise as a file."""
  path.parent.mkdir(parents=True, exist_ok=True)
  audio = np.random.default_rng(seed).uniform(-0.5, 0.5, 32_000)
  soundfile.write(path, audio, 16_000)


def build(dataset, folder, out="out"):
  """Prepares a folder; returns the builder, and the ids of each split."""
  builder = opening.open_builder(
    dataset, data_dir=str(folder.parent / out), path=str(folder)
  )
  builder = prepare(builder)
  ids = {
    split: [r["id"].decode() for r in stored.read_split(builder, split)]
    for split in builder.info.splits
  }
  return builder, ids


def test_a_file_copied_into_test_is_not_trained_on(tmp_path):
  folder = tmp_path / "in"
  for name, seed in (("train/a", 0), ("train/b", 1), ("valid/c", 2)):
    put(folder / f"{name}.wav", seed)
  put(folder / "test/other name.wav", 0)
  builder, ids = build("audio_folder", folder)
  assert ids == {
    "train": ["train/b.wav#000"],
    "valid": ["valid/c.wav#000"],
    "test": ["test/other name.wav#000"],
  }
  report = json.loads((Path(builder.data_dir) / "report.json").read_text())
  assert report["leaks"] == [
    {
      "excerpt": "train/a.wav#000",
      "split": "train",
      "same_as": "test/other name.wav#000",
      "in": "test",
    }
  ]


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    ("anna/1.wav,,train\nanna/2.wav,,test\n", "'anna' is pinned to train and"),
    ("ben/1.wav,anna,\n,anna,test\n,ben,valid\n", "no recording has .*'ben'"),
  ],
)
def test_a_player_is_not_on_two_sides(tmp_path, rows, message):
  folder = tmp_path / "in"
  for seed, name in enumerate(("anna/1", "anna/2", "ben/1", "cleo/1")):
    put(folder / f"{name}.wav", seed)
  (folder / "splits.csv").write_text("file,group,split\n" + rows)
  with pytest.raises(UserError, match=message):
    build("ceg", folder)


def test_outputs_of_an_input_are_not_on_two_sides(tmp_path):
  folder = tmp_path / "in"
  lines = ["input,output"]
  for seed in range(4):
    for name in ("di", "amp", "box"):
      put(folder / name / f"{seed}.wav", seed)
    lines += [f"di/{seed}.wav,{name}/{seed}.wav" for name in ("amp", "box")]
  (folder / "pairs.csv").write_text("\n".join(lines))
  _, ids = build("paired_folder", folder)
  takes = [{name.partition("/")[2] for name in side} for side in ids.values()]
  assert [len(side) for side in ids.values()] == [2 * len(t) for t in takes]
  assert sum(len(t) for t in takes) == len(set.union(*takes)) == 4
  put(folder / "test/0.wav", 0)
  lines.append("di/0.wav,test/0.wav")
  (folder / "pairs.csv").write_text("\n".join(lines))
  with pytest.raises(UserError, match=r"'di/0\.wav': .* test/0\.wav for test"):
    build("paired_folder", folder, "again")


def test_a_published_split_that_leaks_is_not_trained_on(tmp_path):
  """A recording of SignalTrain's Test, in Train under another number."""
  folder = tmp_path / "in"
  for name, seed in (
    ("Train/1", 0),
    ("Train/2", 1),
    ("Val/3", 2),
    ("Test/4", 0),
  ):
    split, _, number = name.partition("/")
    put(folder / split / f"input_{number}_.wav", seed)
  builder, ids = build("signaltrain", folder)
  assert ids == {
    "train": ["Train/input_2_.wav#000"],
    "valid": ["Val/input_3_.wav#000"],
    "test": ["Test/input_4_.wav#000"],
  }
  report = json.loads((Path(builder.data_dir) / "report.json").read_text())
  assert [leak["excerpt"] for leak in report["leaks"]] == [
    "Train/input_1_.wav#000"
  ]


@pytest.mark.parametrize("dataset", ["plucked_strings", "signaltrain_sounds"])
def test_a_renderer_that_repeats_itself_is_not_trained_on(
  tmp_path, monkeypatch, dataset
):
  """As if the third excerpt of training were the first of test."""
  builder = opening.open_builder(
    dataset,
    data_dir=str(tmp_path),
    excerpt_seconds=1.0,
    train_minutes=0.1,
    valid_minutes=0.05,
    test_minutes=0.05,
  )

  def render(index, *, seed, sample_rate, seconds):
    sound = rendered.FIRST_INDEX["test"] if index == 2 else index
    rng = np.random.default_rng([seed, sound])
    return rng.uniform(-1, 1, (round(seconds * sample_rate), 1))

  monkeypatch.setattr(type(builder), "render", staticmethod(render))
  builder = prepare(builder)
  ids = {
    split: [int(r["id"].rpartition(b"#")[2]) for r in records]
    for split in builder.info.splits
    for records in [stored.read_split(builder, split)]
  }
  assert ids == {
    "train": [0, 1, 3, 4, 5],
    "valid": [0, 1, 2],
    "test": [0, 1, 2],
  }
