"""Recordings are stored once, whole or not at all, wherever they are read."""

import dataclasses
import functools
import os
import signal

import numpy as np
import pytest
import tensorflow_datasets as tfds

from distortion_removal.audio.files import AudioFileError
from distortion_removal.common.errors import UserError
from distortion_removal.datasets.features import Int16Audio, to_example
from distortion_removal.datasets.preparation.recordings import (
  Recording,
  RecordingStore,
  store_all,
)

RATE = 8_000


@pytest.fixture
def store(tmp_path):
  features = {"clean": Int16Audio(), "peak": np.float32}
  features["id"] = tfds.features.Text()
  return RecordingStore(tmp_path, tfds.features.FeaturesDict(features), RATE)


def audio(seed):
  rng = np.random.default_rng(seed)
  return rng.uniform(-0.5, 0.5, (RATE, 1)).astype(np.float32)


def read(seed):
  for index in range(3):
    if index == 1:
      yield "silent"
    else:
      yield to_example(f"{seed}#{index}", audio(10 * seed + index))


def damaged(path):
  yield to_example("x#0", audio(0))
  raise AudioFileError(path, "no more")


def make(seed, version="1"):
  source = functools.partial(read, seed)
  return Recording("0", "group", source, version=version, size=10 + seed)


def files(store):
  return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def test_what_is_stored(store):
  recording = make(0)
  assert store.add(recording) == 10
  content = store.load(recording)
  assert content.left_out == {"silent": 1, "short": 0}
  assert content.reason is None
  assert [(e.id, e.group, e.frames, e.peak) for e in content.excerpts] == [
    (f"0#{i}", "group", RATE, np.abs(audio(i)).max()) for i in (0, 2)
  ]
  stored = list(store.records(content.excerpts[::-1]))
  expected = [example for example in read(0) if example != "silent"]
  assert stored == [store.encode(example) for example in expected[::-1]]


def _die():
  os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.e2e
def test_a_killed_process_is_told_in_one_line(store):
  work = [Recording(name, name, _die, version="1") for name in ("a", "b")]
  with pytest.raises(UserError, match=r"was killed.*--jobs=1"):
    list(store_all(work, store, jobs=2))
  assert not any(path.suffix == ".json" for path in store.folder.iterdir())


def test_a_damaged_recording_is_left_out_and_tried_again(store):
  """As a whole; it may have been out of reach, without any change of it."""
  good = make(0)
  bad = dataclasses.replace(good, read=functools.partial(damaged, "0"))
  store.add(bad)
  content = store.load(good)
  assert (content.excerpts, content.reason) == ([], "no more")
  store.add(good)
  content = store.load(good)
  assert content.reason is None
  assert content.excerpts


def test_what_is_stored_is_taken_while_its_version_stays(store):
  store.add(make(0))
  kept = files(store)
  store.add(make(7))
  assert files(store) == kept
  store.add(make(7, version="2"))
  assert store.load(make(7, version="2")).excerpts[0].id == "7#0"


def test_half_a_recording_is_none(store):
  """Records without the facts, which are written last, are read again."""
  recording = make(0)
  store.add(recording)
  whole, name = files(store), recording.file_name
  (store.folder / f"{name}.json").unlink()
  (store.folder / f"{name}.records").write_bytes(b"half")
  store.add(recording)
  assert files(store) == whole
