"""Mixtures: ratios, epochs, and that every record has its turn."""

import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.mixing import Mixture

ONE = [{"set": 0, "record": i} for i in range(7)]
TWO = [{"set": 1, "record": i} for i in range(3)]
THREE = [{"set": 2, "record": i} for i in range(50)]


def _stream(mixture, seed, count):
  stream = mixture.stream(seed)
  return [(stream[i]["set"], stream[i]["record"]) for i in range(count)]


def test_any_stretch_has_the_ratios_whatever_the_sizes():
  """Of weights only the ratios count."""
  sources = (ONE, TWO, THREE)
  found = _stream(Mixture(sources, (5.0, 3.0, 2.0)), 0, 120)
  assert found == _stream(Mixture(sources, (0.5, 0.3, 0.2)), 0, 120)
  sets = np.array([number for number, _ in found])
  for start in range(0, 80, 13):
    counts = np.bincount(sets[start : start + 40], minlength=3)
    assert np.all(np.abs(counts - 40 * np.array([0.5, 0.3, 0.2])) <= 2)


@pytest.mark.parametrize("sources", [(ONE, TWO), (ONE,)])
def test_each_data_set_has_epochs_of_its_own(sources):
  mixture = Mixture(sources, (1.0,) * len(sources))
  found = _stream(mixture, 0, 42 * len(sources))
  for number, source in enumerate(sources):
    records = [record for origin, record in found if origin == number]
    size = len(source)
    epochs = [records[i : i + size] for i in range(0, 42, size)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
  assert found == _stream(mixture, 0, 42 * len(sources))
  assert found != _stream(mixture, 1, 42 * len(sources))


def test_equal_data_sets_are_not_shuffled_alike():
  found = _stream(Mixture((THREE, THREE), (1.0, 1.0)), 0, 100)
  records = [record for _, record in found]
  first, second = records[::2], records[1::2]
  assert sorted(first) == sorted(second)
  assert np.sum(np.equal(first, second)) < 10


def test_records_by_chance_have_the_ratios():
  mixture = Mixture((ONE, TWO), (3.0, 1.0))
  rng = np.random.default_rng(0)
  drawn = [mixture.draw(rng) for _ in range(2_000)]
  share = np.mean([record["set"] for record in drawn])
  assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2_000)
  assert len({(r["set"], r["record"]) for r in drawn}) == 10


def test_the_draws_are_the_same_on_every_version():
  """Data set and record, as they were when this was written."""
  mixture = Mixture((ONE, TWO, THREE), (5.0, 3.0, 2.0))
  first = [(0, 2), (1, 0), (0, 3), (1, 2), (0, 6), (2, 33)]
  second = [(0, 5), (1, 1), (0, 4), (2, 4), (0, 1), (1, 0)]
  assert _stream(mixture, 0, 12) == first + second
  rng = np.random.default_rng(0)
  drawn = [tuple(mixture.draw(rng).values()) for _ in range(6)]
  assert drawn == [(1, 1), (0, 1), (0, 1), (2, 40), (1, 2), (1, 2)]


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf")])
def test_weights_that_cannot_be_are_refused(weight):
  with pytest.raises(UserError, match="sources: a weight is"):
    Mixture((ONE, TWO), (1.0, weight))
