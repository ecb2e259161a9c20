"""Parts: what is stored comes back, and what is not ours does not."""

import numpy as np
import pytest

from distortion_removal.evaluation.excerpts import Excerpt
from distortion_removal.evaluation.store import Part, Store, fingerprint

GROUP = [Excerpt(3, "a", "digest a"), Excerpt(4, "b", "digest b")]


def _part(error=None):
  rng = np.random.default_rng(0)

  def embeddings(*windows):
    return [rng.standard_normal((n, 3)).astype(np.float32) for n in windows]

  entries = [
    {"error": None, "rows": [{"si_sdr": 0.1}], "sounds": []},
    {"error": error, "rows": [{"si_sdr": None}], "sounds": []},
  ]
  # Nothing of the second by one metric: it failed.
  found = [{"fad": embeddings(2, 0), "other": embeddings(1, 1)}]
  return Part(entries, [*found, {"fad": embeddings(0, 4)}])


@pytest.fixture
def store(tmp_path):
  return Store(tmp_path / "parts" / "demucs", "method")


def test_what_is_saved_comes_back(store):
  saved = _part()
  store.save(GROUP, saved)
  found = store.load(GROUP)
  assert found.entries == saved.entries
  assert not found.failed
  for a, b in zip(found.embeddings, saved.embeddings, strict=True):
    assert a.keys() == b.keys()
    for name in a:
      for x, y in zip(a[name], b[name], strict=True):
        np.testing.assert_array_equal(x, y)
  assert sorted(path.name for path in store.folder.iterdir()) == [
    "000003.json",
    "000003.npz",
  ]


def test_without_metrics_of_sets_there_is_one_file(store):
  store.save(GROUP, Part(_part("no").entries, [{}, {}]))
  found = store.load(GROUP)
  assert found.embeddings == [{}, {}]
  assert found.failed
  assert [path.name for path in store.folder.iterdir()] == ["000003.json"]


def test_another_methods_or_excerpts_part_is_none(store):
  assert store.load(GROUP) is None
  store.save(GROUP, _part())
  other = [GROUP[0], GROUP[1]._replace(digest="another take")]
  for group in (other, GROUP[:1], [GROUP[0]._replace(index=2), GROUP[1]]):
    assert store.load(group) is None
    assert fingerprint("method", group) != fingerprint("method", GROUP)
  assert Store(store.folder, "method with another option").load(GROUP) is None


@pytest.mark.parametrize("name", ["000003.json", "000003.npz"])
@pytest.mark.parametrize("kept", [0, 20])
def test_half_a_part_is_none(store, name, kept):
  store.save(GROUP, _part())
  path = store.folder / name
  path.write_bytes(path.read_bytes()[:kept])
  assert store.load(GROUP) is None


def test_pickles_are_not_loaded(store):
  store.save(GROUP, _part())
  arrays = {name: np.array([{}], object) for name in ("fad", "other")}
  np.savez(store.folder / "000003.npz", **arrays)
  assert store.load(GROUP) is None
