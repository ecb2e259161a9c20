"""The Fréchet distance against closed forms, and statistics that merge."""

import logging

import numpy as np
import pytest
from scipy import linalg

from distortion_removal.metrics.fad import frechet
from distortion_removal.metrics.fad.frechet import Statistics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_merged_statistics_are_those_at_once(offset):
  embeddings = RNG.standard_normal((100, 3)) + offset
  parts = np.split(embeddings, [0, 1, 30, 30, 99])
  merged = Statistics.from_embeddings(parts[0])
  for part in parts[1:]:
    merged = merged.merge(Statistics.from_embeddings(part))
  at_once = Statistics.from_embeddings(embeddings)
  assert merged.count == 100
  np.testing.assert_allclose(merged.mean, at_once.mean, rtol=1e-12, atol=1e-12)
  # Sums of squares would have lost all digits of the offset set.
  np.testing.assert_allclose(
    merged.covariance(), np.cov(embeddings, rowvar=False), rtol=1e-6, atol=1e-8
  )


def test_against_the_matrix_square_root():
  embeddings = [
    RNG.standard_normal((200, 16)) @ RNG.standard_normal((16, 16)) + k
    for k in range(2)
  ]
  covariances = [np.cov(e, rowvar=False) for e in embeddings]
  root = linalg.sqrtm(covariances[0] @ covariances[1]).real
  shift = embeddings[0].mean(0) - embeddings[1].mean(0)
  expected = shift @ shift + np.trace(sum(covariances) - 2 * root)
  sets = [Statistics.from_embeddings(e) for e in embeddings]
  assert frechet.distance(*sets) == pytest.approx(expected, rel=1e-9)
  assert frechet.distance(*sets[::-1]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [2, 20, 500])
def test_equal_sets_have_no_distance(count):
  embeddings = RNG.standard_normal((count, 64)) * np.logspace(-3, 3, 64)
  statistics = Statistics.from_embeddings(embeddings)
  trace = np.trace(statistics.covariance())
  assert 0.0 <= frechet.distance(statistics, statistics) <= 1e-12 * trace


@pytest.mark.parametrize(("count", "warnings"), [(8, 1), (9, 0)])
def test_warns_where_the_covariance_is_rank_deficient(count, warnings, caplog):
  enough = Statistics.from_embeddings(RNG.standard_normal((40, 8)))
  tested = Statistics.from_embeddings(RNG.standard_normal((count, 8)))
  with caplog.at_level(logging.WARNING):
    frechet.warn_of_rank([enough, tested])
  assert len(caplog.messages) == warnings
  assert (np.linalg.matrix_rank(tested.covariance()) < 8) == bool(warnings)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_embeddings_have_no_distance(count):
  few = Statistics.from_embeddings(np.ones((count, 3)))
  many = Statistics.from_embeddings(RNG.standard_normal((10, 3)))
  assert np.isnan(frechet.distance(few, many))
  assert np.isnan(frechet.distance(many, few))
