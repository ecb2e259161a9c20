"""The synthetic set: disjoint splits, stable, and rendered only once."""

import numpy as np
import pytest
from prepared import build as build_any
from prepared import records

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.sources.builder import FIRST_INDEX
from distortion_removal.datasets.sources.plucked_strings import synthesis


@pytest.fixture
def calls(monkeypatch):
  """A click per index instead of music; the calls that were made."""
  made = []

  def render(index, *, seed, sample_rate, seconds):
    made.append((index, seed, sample_rate, seconds))
    audio = np.full((round(seconds * sample_rate), 1), 0.1 + (index % 7) / 10)
    audio[0] *= 1 - (index % 1_000 + index / 1e10) / 2_000  # no two are alike
    return np.float32(audio)

  monkeypatch.setattr(synthesis, "render", render)
  return made


def build(data_dir, **options):
  return build_any("plucked_strings", data_dir, **options)


def test_sizes_and_arguments(tmp_path, calls):
  options = {"train_minutes": 0.5, "valid_minutes": 0.2, "test_minutes": 0.1}
  options |= {"excerpt_seconds": 2.0, "sample_rate": 8_000, "channels": 2}
  builder = build(tmp_path, **options, seed=3)
  counts = {s: i.num_examples for s, i in builder.info.splits.items()}
  assert counts == {"train": 15, "valid": 6, "test": 3}
  indices = [call[0] for call in calls]
  assert len(set(indices)) == 24
  assert {call[1:] for call in calls} == {(3, 8_000, 2.0)}
  for index, record in zip(indices, records(builder).values(), strict=True):
    assert record["peak"] == pytest.approx(0.1 + (index % 7) / 10)
    np.testing.assert_array_equal(record["clean"][1:], np.ones((15_999, 2)))
  build(tmp_path, **options, seed=3)
  assert len(calls) == 24  # taken as it lies there
  with pytest.raises(UserError, match="different seed;"):
    build(tmp_path, **options, seed=1)


def test_splits_stay_disjoint_at_any_size(tmp_path, calls):
  """A split's excerpts are those of a smaller one, and never another's."""
  hours = np.diff(sorted(FIRST_INDEX.values())).min() * 10 / 3600
  assert hours > 100_000  # of excerpts of 10 s between two splits
  sizes = {"valid_minutes": 0.2, "test_minutes": 0.2, "excerpt_seconds": 1.0}
  small, large = (
    opening.read_split(
      build(tmp_path / name, train_minutes=minutes, **sizes), "train"
    )
    for name, minutes in (("small", 0.1), ("large", 2.1))
  )
  assert [r["id"] for r in large] == [b"train#%05d" % i for i in range(126)]
  assert len(small) == 6
  for one, other in zip(small, large, strict=False):
    np.testing.assert_array_equal(one["clean"], other["clean"])
  assert len({call[0] for call in calls}) == 126 + 12 + 12


def test_another_seed_is_not_taken_for_the_same_but_another_size_is(tmp_path):
  one, longer, other = (
    opening.open_builder(
      "plucked_strings", data_dir=str(tmp_path), train_minutes=m, seed=seed
    ).recordings()
    for m, seed in ((2.5, 2), (3.0, 2), (2.5, 3))
  )
  assert not {r.file_name for r in one} & {r.file_name for r in other}
  first = one[0].file_name, one[0].version
  assert first == (longer[0].file_name, longer[0].version)
