"""The Fréchet distance between two sets of embeddings, taken as Gaussians.

A set is kept as count, mean and scatter, and those of two sets merge: an
evaluation, or every host of one, holds no more than its latest embeddings.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from distortion_removal.common.log import logger
from distortion_removal.metrics import signals


class Statistics(NamedTuple):
  """Count, mean and scatter of N embeddings, summed in float64."""

  count: int  # N
  mean: np.ndarray  # [dimension]
  scatter: np.ndarray  # sum of (x - mean)(x - mean)^T

  @classmethod
  def from_embeddings(cls, embeddings: np.ndarray) -> "Statistics":
    """Computes the statistics of `[windows, dimension]`, even of no windows."""
    embeddings = np.asarray(embeddings, np.float64)
    count = len(embeddings)
    mean = embeddings.sum(axis=0) / max(count, 1)
    centred = embeddings - mean
    return cls(count, mean, centred.T @ centred)

  def merge(self, other: "Statistics") -> "Statistics":
    """Returns the statistics of both sets together, as if computed at once.

    Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm
    for computing sample variances", COMPSTAT 1982, equation 2.1.
    """
    count = self.count + other.count
    share = other.count / max(count, 1)
    shift = other.mean - self.mean
    between = self.count * share * np.outer(shift, shift)
    scatter = self.scatter + other.scatter + between
    return Statistics(count, self.mean + share * shift, scatter)

  def covariance(self) -> np.ndarray:
    """Returns the unbiased covariance of at least two embeddings."""
    return self.scatter / (self.count - 1)


def distance(first: Statistics, second: Statistics) -> float:
  """Computes the squared Fréchet distance of two Gaussians (0 if equal).

      d^2 = ||m1 - m2||^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

  With factors C = R R^T from eigenvalues and eigenvectors, C1 C2 has the
  eigenvalues of (R1^T R2)(R1^T R2)^T, so the trace of its root is the sum of
  the singular values of R1^T R2. Nothing is squared and rooted on the way:
  equal sets differ by rounding alone, even where the covariance is singular.

  Up to N = dimension a covariance is rank-deficient, and the distance has a
  large upward bias: see `warn_of_rank`.

  Returns:
    At least 0; NaN if either set has fewer than two embeddings.

  Source: Dowson and Landau, "The Fréchet distance between multivariate normal
  distributions", J. Multivariate Analysis 12(3), 1982.
  """
  if min(first.count, second.count) < 2:
    return np.nan
  covariances = first.covariance(), second.covariance()
  roots = [_factor(c) for c in covariances]
  common = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
  traces = sum(np.trace(c) for c in covariances)
  shift = first.mean - second.mean
  return float(max(shift @ shift + traces - 2.0 * common, 0.0))


def distance_of_audio(
  embed: Callable[..., np.ndarray],
  estimate: np.ndarray,
  target: np.ndarray,
  sample_rate: int,
) -> np.ndarray:
  """Computes `distance` of two batches as a metric's `[1]` float64."""
  sets = statistics_of_audio(embed, estimate, target, sample_rate)
  return np.array([distance(*sets)])


def statistics_of_audio(
  embed: Callable[..., np.ndarray],
  estimate: np.ndarray,
  target: np.ndarray,
  sample_rate: int,
) -> list[Statistics]:
  """Embeds estimate and target; logs a warning if the windows are too few."""
  pair = signals.check_pair(estimate, target)
  embeddings = [embed(audio, sample_rate=sample_rate) for audio in pair]
  sets = [Statistics.from_embeddings(windows) for windows in embeddings]
  warn_of_rank(sets)
  return sets


def warn_of_rank(sets: Iterable[Statistics]) -> None:
  """Logs a warning if the smallest set's covariance is rank-deficient."""
  least = min(sets, key=lambda statistics: statistics.count)
  dimension = len(least.mean)
  if least.count <= dimension:
    logger.warning(
      "a Fréchet distance from %d windows of %d dimensions: the covariance is "
      "rank-deficient and the distance biased; take more audio",
      least.count,
      dimension,
    )


def _factor(covariance: np.ndarray) -> np.ndarray:
  """Returns R with R R^T = C."""
  values, vectors = np.linalg.eigh(covariance)
  # Rounding leaves small negative values where there should be zeros.
  return vectors * np.sqrt(np.maximum(values, 0.0))
