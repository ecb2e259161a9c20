"""Records in order in as many files as they need, and no leak in them."""

import errno
import functools

import numpy as np
import pytest
from prepared import build, put, record_files, records, report, splits_of

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.features import to_example
from distortion_removal.datasets.preparation import write
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.preparation.recordings import (
  Recording,
  StoredExcerpt,
)

RATE = 16_000


def test_records_in_order_in_as_many_files_as_they_need(tmp_path, monkeypatch):
  rng = np.random.default_rng(0)
  lengths = {"train/a": 5, "train/b": 4, "valid/d": 1, "test/c": 4}
  for name, excerpts in lengths.items():
    audio = rng.uniform(-0.5, 0.5, (excerpts * RATE, 1))
    put(tmp_path / "in" / f"{name}.wav", audio)
  monkeypatch.setattr(write, "_SHARD_BYTES", 4 * 2 * RATE)
  form = {"path": str(tmp_path / "in"), "excerpt_seconds": 1.0}
  builder = build("audio_folder", tmp_path / "out", **form)
  assert sorted(record_files(builder)) == [
    f"audio_folder-{split}.array_record-0000{i}-of-0000{count}"
    for split, count in (("test", 1), ("train", 3), ("valid", 1))
    for i in range(count)
  ]
  assert builder.info.splits["train"].shard_lengths == [4, 4, 1]
  assert list(records(builder)) == [
    f"{name}.wav#00{i}"
    for name, excerpts in lengths.items()
    for i in range(excerpts)
  ]


def test_a_full_disk_is_the_systems_error(tmp_path):
  link = tmp_path / "shard"
  try:
    link.symlink_to("/dev/full")
    with pytest.raises(OSError):
      link.write_bytes(b"x")
  except (OSError, NotImplementedError):
    pytest.skip("no /dev/full on this system")
  with pytest.raises(OSError) as caught, write._open_shard(link) as writer:
    writer.write(b"x" * 100_000)
  assert caught.value.errno == errno.ENOSPC
  assert caught.value.filename == str(link)


def excerpt(name, group, digest):
  return StoredExcerpt(name, 1, 1.0, None, digest, 0, 0, group=group)


def test_a_double_stays_where_it_is_tested_on():
  kept, doubles = write.without_leaks(
    {
      "train": [excerpt("a", "1", "x"), excerpt("b", "1", "y")],
      "valid": [excerpt("c", "2", "x"), excerpt("d", "2", "z")],
      "test": [excerpt("e", "3", "z"), excerpt("f", "3", "z")],
    }
  )
  names = {split: [e.id for e in each] for split, each in kept.items()}
  assert names == {"train": ["b"], "valid": ["c"], "test": ["e", "f"]}
  assert doubles == [
    {"excerpt": "d", "split": "valid", "same_as": "e", "in": "test"},
    {"excerpt": "a", "split": "train", "same_as": "c", "in": "valid"},
  ]


def examples(names, features):
  """Noise that depends on the name's first letter alone, as any features."""
  for name in names:
    audio = np.random.default_rng(ord(name[0])).uniform(-1, 1, (16_000, 1))
    example = to_example(f"{name}#000", audio.astype(np.float32))
    for key, feature in features.items():
      value = example["clean"] if feature.shape else example["peak"]
      example.setdefault(key, np.asarray(value, feature.np_dtype))
    yield example


@pytest.mark.parametrize("dataset", opening.DATASETS)
def test_every_builder_is_checked(tmp_path, monkeypatch, dataset):
  """Whatever a builder delivers: test's `a` is trained on under no name."""
  members = {"train": ["a1", "b1", "a2"], "valid": ["c1"], "test": ["a3"]}

  def deliver(builder):
    features = builder.info.features
    return [
      Recording(
        split, split, functools.partial(examples, names, features), "", 0, split
      )
      for split, names in members.items()
    ]

  def prepared(folder):
    builder = opening.open_builder(
      dataset, task="overdrive", data_dir=str(tmp_path / folder)
    )
    monkeypatch.setattr(type(builder), "recordings", deliver)
    monkeypatch.setattr(type(builder), "source", lambda _: {})
    return prepare(builder)

  builder = prepared("one")
  expected = {"b1#000": "train", "c1#000": "valid", "a3#000": "test"}
  assert splits_of(builder) == expected
  assert [leak["excerpt"] for leak in report(builder)["leaks"]] == [
    "a1#000",
    "a2#000",
  ]
  members["train"][1] = "c1"
  with pytest.raises(UserError, match="id 'c1#000' is in train and in valid"):
    prepared("two")


def test_a_group_on_two_sides_is_refused():
  one, other = excerpt("a", "1", "x"), excerpt("b", "1", "y")
  with pytest.raises(UserError, match="group '1' is in train and in valid"):
    write.without_leaks({"train": [one], "valid": [other]})
