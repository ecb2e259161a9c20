"""Stored scores come back, and what is not valid does not."""

import functools
import os

import jax
import numpy as np
import pytest

from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.store import (
  ScoreStore,
  StoredScores,
  read_sound,
)

EXCERPT = Excerpt(3, "a", "its digest")


def _scores():
  rng = np.random.default_rng(0)

  def embeddings(*windows):
    return [rng.standard_normal((n, 3)).astype(np.float32) for n in windows]

  return StoredScores(
    rows=[{"si_sdr": 0.1}, {"si_sdr": None}],
    embeddings={"fad": embeddings(2, 0), "other": embeddings(1, 4)},
    sounds=[{"path": "003_a.flac", "scale": 1.5}],
    error=None,
  )


@pytest.fixture
def store(tmp_path):
  return ScoreStore(tmp_path / "parts", "demucs", "fingerprint")


def test_what_is_saved_comes_back(store):
  saved = _scores()
  assert not store.is_scored(EXCERPT)
  store.save(EXCERPT, saved)
  assert store.is_scored(EXCERPT)
  found = store.load(EXCERPT)
  assert found._replace(embeddings={}) == saved._replace(embeddings={})
  equal = functools.partial(np.testing.assert_array_equal, strict=True)
  jax.tree.map(equal, found.embeddings, saved.embeddings)
  assert [path.name for path in store.folder.iterdir()] == ["000003.npz"]
  store.save(EXCERPT, saved._replace(error="no", embeddings={}))
  assert store.load(EXCERPT).error == "no"
  assert not store.is_scored(EXCERPT)  # What failed is tried again.


def test_another_methods_or_excerpts_scores_are_none(store):
  store.save(EXCERPT, _scores())
  assert store.load(EXCERPT._replace(digest="another take")) is None
  other = ScoreStore(store.folder.parent, "demucs", "with another option")
  assert other.load(EXCERPT) is None
  store._path(EXCERPT).rename(store._path(EXCERPT._replace(index=2)))
  assert store.load(EXCERPT._replace(index=2)) is None


@pytest.mark.parametrize("kept", [0, 20, 400])
def test_half_a_file_is_none(store, kept):
  store.save(EXCERPT, _scores())
  os.truncate(store._path(EXCERPT), kept)
  assert store.load(EXCERPT) is None


def test_sounds_keep_their_level_and_end_old_scores(store):
  store.save(EXCERPT, _scores())
  audio = np.float32([[[0.5], [-0.25]], [[4.0], [1.0]], [[np.inf], [0.0]]])
  entries = store.write_sounds(EXCERPT, audio, (20.0, 35.0, 50.0), 8_000)
  assert store.load(EXCERPT) is None
  found = [(entry["level"], entry["scale"]) for entry in entries]
  assert found == [(20.0, 1.0), (35.0, 4.0)]
  for entry, expected in zip(entries, audio, strict=False):
    found = read_sound(store.folder, entry)
    np.testing.assert_allclose(found, expected, atol=1e-6)
