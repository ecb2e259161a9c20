"""The synthetic set: disjoint splits, stable, and rendered only once."""

import numpy as np
import pytest
from prepared import build as build_any
from prepared import record_files, records

from distortion_removal.common.errors import UserError
from distortion_removal.datasets import opening
from distortion_removal.datasets.preparation.prepare import prepare
from distortion_removal.datasets.sources.builder import FIRST_INDEX
from distortion_removal.datasets.sources.plucked_strings import synthesis

SIZES = {"excerpt_seconds": 5.0, "sample_rate": 1_000, "seed": 2}
SIZES |= {"valid_minutes": 0.1, "test_minutes": 0.1}


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


def test_what_was_rendered_is_not_rendered_again(tmp_path, calls, monkeypatch):
  """Of an interrupted preparation, the whole parts; one has two minutes."""
  render = synthesis.render

  def fail_late(index, **options):
    if len(calls) == 29:
      raise KeyboardInterrupt
    return render(index, **options)

  with monkeypatch.context() as patch:
    patch.setattr(synthesis, "render", fail_late)
    with pytest.raises(KeyboardInterrupt):
      build(tmp_path / "one", train_minutes=3.0, **SIZES)
  calls.clear()
  resumed = build(tmp_path / "one", train_minutes=2.5, **SIZES)
  # The first two minutes had been rendered.
  indices = [call[0] for call in calls[:7]]
  assert indices == [*range(24, 30), FIRST_INDEX["valid"]]
  fresh = build(tmp_path / "two", train_minutes=2.5, **SIZES)
  assert record_files(resumed) == record_files(fresh)
  assert fresh.info.splits["train"].num_examples == 30
  assert len(record_files(fresh)) == 3


@pytest.mark.e2e
def test_processes_render_what_one_renders(tmp_path):
  expected = record_files(build(tmp_path / "one", train_minutes=2.2, **SIZES))
  two = opening.open_builder(
    "plucked_strings", data_dir=str(tmp_path), train_minutes=2.2, **SIZES
  )
  assert record_files(prepare(two, jobs=2)) == expected


def test_another_seed_is_not_taken_for_the_same(tmp_path):
  one, two = (
    opening.open_builder(
      "plucked_strings", data_dir=str(tmp_path), seed=seed
    ).recordings()
    for seed in (2, 3)
  )
  assert not {each.file_name for each in one} & {each.file_name for each in two}
