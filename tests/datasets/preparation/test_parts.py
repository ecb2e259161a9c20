"""Parts are stored once, whole or not at all, wherever they are read."""

import dataclasses
import functools
import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from distortion_removal.audio.integrity import AudioFileError
from distortion_removal.common.errors import UserError
from distortion_removal.datasets.features import Int16Audio
from distortion_removal.datasets.preparation import beam_pipeline, parts
from distortion_removal.datasets.sources import builder

RATE = 8_000
ENCODER = parts.Encoder(
  tfds.features.FeaturesDict(
    {
      "clean": Int16Audio((None, 1)),
      "peak": np.float32,
      "id": tfds.features.Text(),
    }
  ),
  RATE,
)


def audio(seed):
  rng = np.random.default_rng(seed)
  return rng.uniform(-0.5, 0.5, (RATE, 1)).astype(np.float32)


def read(seed):
  """Of a module, so that other processes find it."""
  for index in range(3):
    if index == 1:
      yield "silent"
    else:
      yield builder.to_example(f"{seed}#{index}", audio(10 * seed + index))


def damaged(path):
  yield builder.to_example("x#0", audio(0))
  raise AudioFileError(path, "no more")


def make_parts(count):
  return [
    parts.Part(str(i), functools.partial(read, i), version="1", size=10 + i)
    for i in range(count)
  ]


def files(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_stored(tmp_path):
  (part,) = make_parts(1)
  assert parts.store(part, folder=tmp_path, encoder=ENCODER) == 10
  content = parts.load(part, tmp_path)
  assert content.left_out == {"silent": 1, "short": 0}
  assert content.reason is None
  assert [e.id for e in content.excerpts] == ["0#0", "0#2"]
  for excerpt, seed in zip(content.excerpts, (0, 2), strict=True):
    assert excerpt.frames == RATE
    assert excerpt.peak == np.abs(audio(seed)).max()
  stored = list(parts.records(content.excerpts[::-1], tmp_path))
  expected = [example for example in read(0) if example != "silent"]
  assert stored == [ENCODER.encode(example) for example in expected[::-1]]


def test_processes_store_what_one_stores(tmp_path):
  here, there = tmp_path / "here", tmp_path / "there"
  here.mkdir()
  there.mkdir()
  work = make_parts(5)
  sizes = list(parts.store_all(work, 1, folder=here, encoder=ENCODER))
  spread = list(parts.store_all(work, 2, folder=there, encoder=ENCODER))
  assert sizes == sorted(spread) == [10, 11, 12, 13, 14]
  assert files(here) == files(there)
  assert len(files(here)) == 10


def test_apache_beam_stores_the_same(tmp_path):
  pytest.importorskip("apache_beam")
  here, there = tmp_path / "here", tmp_path / "there"
  here.mkdir()
  there.mkdir()
  work = make_parts(3)
  list(parts.store_all(work, 1, folder=here, encoder=ENCODER))
  options = beam_pipeline.parse_options(["--runner=DirectRunner"])
  beam_pipeline.store_all(work, folder=there, encoder=ENCODER, options=options)
  assert files(here) == files(there)


def test_without_apache_beam_it_says_what_to_install(monkeypatch):
  for name in ("apache_beam", "apache_beam.options.pipeline_options"):
    monkeypatch.setitem(sys.modules, name, None)
  with pytest.raises(UserError, match=r"pip install 'distortion_removal\[beam"):
    beam_pipeline.parse_options([])


def test_a_damaged_recording_is_left_out_as_a_whole(tmp_path):
  part = parts.Part("x", functools.partial(damaged, "x.wav"), version="1")
  parts.store(part, folder=tmp_path, encoder=ENCODER)
  content = parts.load(part, tmp_path)
  assert (content.excerpts, content.reason) == ([], "no more")
  assert len(files(tmp_path)) == 2


def test_what_could_not_be_read_is_tried_again(tmp_path):
  """It may have been out of reach, without any change of the file."""
  (good,) = make_parts(1)
  bad = dataclasses.replace(good, read=functools.partial(damaged, "0"))
  parts.store(bad, folder=tmp_path, encoder=ENCODER)
  assert parts.load(good, tmp_path).reason == "no more"
  parts.store(good, folder=tmp_path, encoder=ENCODER)
  content = parts.load(good, tmp_path)
  assert content.reason is None
  assert content.excerpts


def test_a_stored_part_is_taken_while_its_version_stays(tmp_path):
  (part,) = make_parts(1)
  parts.store(part, folder=tmp_path, encoder=ENCODER)
  kept = files(tmp_path)
  same = parts.Part("0", functools.partial(read, 7), version="1")
  parts.store(same, folder=tmp_path, encoder=ENCODER)
  assert files(tmp_path) == kept
  other = parts.Part("0", functools.partial(read, 7), version="2")
  parts.store(other, folder=tmp_path, encoder=ENCODER)
  assert parts.load(other, tmp_path).excerpts[0].id == "7#0"


def test_half_a_part_is_none(tmp_path):
  """Records without the facts, which are written last, are read again."""
  (part,) = make_parts(1)
  parts.store(part, folder=tmp_path, encoder=ENCODER)
  whole = files(tmp_path)
  (tmp_path / f"{part.file_name}.json").unlink()
  (tmp_path / f"{part.file_name}.records").write_bytes(b"half")
  parts.store(part, folder=tmp_path, encoder=ENCODER)
  assert files(tmp_path) == whole
  assert json.loads(whole[f"{part.file_name}.json"])["reason"] is None
