"""A leak is caught: by name, by group and by sound, on every builder."""

import dataclasses
import functools

import numpy as np
import pytest

from distortion_removal import datasets
from distortion_removal.datasets import builder as base
from distortion_removal.datasets import leaks
from distortion_removal.datasets.parts import Part
from distortion_removal.errors import UserError
from distortion_removal.prepare import prepare


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


@pytest.mark.parametrize("dataset", datasets.DATASETS)
def test_every_builder_is_checked(tmp_path, monkeypatch, dataset):
  """Whatever a builder delivers: test's `a` is trained on under no name."""
  builder = datasets.open_builder(
    dataset, task="overdrive", data_dir=str(tmp_path)
  )
  members = {"train": ["a1", "b1", "a2"], "valid": ["c1"], "test": ["a3"]}

  def deliver(_):
    return [
      Part(split, functools.partial(examples, names, builder.info.features))
      for split, names in members.items()
    ]

  kind = type(builder)
  monkeypatch.setattr(kind, "parts", deliver)
  monkeypatch.setattr(kind, "assign", base.CleanAudioBuilder.assign)
  monkeypatch.setattr(kind, "group", base.CleanAudioBuilder.group)
  monkeypatch.setattr(kind, "source", lambda _: {})
  prepared = prepare(builder)
  found = {
    split: [r["id"] for r in datasets.read_split(prepared, split)]
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
