"""The Fréchet distance between two sets of embeddings, taken as Gaussians.

What is kept of a set are count, mean and scatter, and those of two sets merge:
an evaluation, or every host of one, holds no more than its latest embeddings.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from distortion_removal.common.log import logger
from distortion_removal.metrics import signals


class Statistics(NamedTuple):
  """Count, mean and scatter of embeddings; a sum of them in float64.

  Attributes:
    count: number of embeddings, N.
    mean: `[dimension]`.
    scatter: `[dimension, dimension]`, the sum of (x - mean)(x - mean)^T.
  """

  count: int
  mean: np.ndarray
  scatter: np.ndarray

  @classmethod
  def from_embeddings(cls, embeddings: np.ndarray) -> "Statistics":
    """Statistics of `[windows, dimension]`; of no windows, what adds nothing.

    Raises:
      ValueError: they have another shape, or hold NaN or infinity.
    """
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
      raise ValueError(
        "embeddings must be finite and [windows, dimension], got the shape "
        f"{embeddings.shape}"
      )
    count = len(embeddings)
    mean = embeddings.sum(axis=0) / max(count, 1)
    centred = embeddings - mean
    return cls(count, mean, centred.T @ centred)

  def merge(self, other: "Statistics") -> "Statistics":
    """Statistics of both sets together, as if computed at once.

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
    """The unbiased covariance `[dimension, dimension]`, as of `numpy.cov`.

    Raises:
      ValueError: there are fewer than two embeddings.
    """
    if self.count < 2:
      raise ValueError(f"a covariance takes two embeddings, got {self.count}")
    return self.scatter / (self.count - 1)


def distance(first: Statistics, second: Statistics) -> float:
  """The squared Fréchet distance of two Gaussians (0 for equal ones).

      d^2 = ||m1 - m2||^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

  With factors C = R R^T from eigenvalues and eigenvectors, C1 C2 has the
  eigenvalues of (R1^T R2)(R1^T R2)^T, so the trace of its root is the sum of
  the singular values of R1^T R2. Nothing is squared and rooted on the way:
  equal sets differ by rounding alone, even where the covariance is singular.

  Up to N = dimension a covariance is rank-deficient, and the distance biased
  upwards, and much: see `warn_of_rank`.

  Args:
    first: of one set.
    second: of the other; the order does not matter.

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
  embed: Callable[[np.ndarray], np.ndarray],
  estimate: np.ndarray,
  target: np.ndarray,
) -> np.ndarray:
  """Fréchet distance of the embeddings of two batches, as a metric gives it.

  Arguments and errors as of `statistics_of_audio`.

  Returns:
    `[1]` float64, one number for the whole batch; see `distance`.
  """
  return np.array([distance(*statistics_of_audio(embed, estimate, target))])


def statistics_of_audio(
  embed: Callable[[np.ndarray], np.ndarray],
  estimate: np.ndarray,
  target: np.ndarray,
) -> list[Statistics]:
  """Statistics of the embeddings of two batches.

  Logs a warning where the windows are too few.

  Args:
    embed: maps `[batch, time, channels]` to `[windows, dimension]`.
    estimate: `[batch, time, channels]`.
    target: of the same shape, or with a batch of one.

  Returns:
    Of the estimate and of the target.

  Raises:
    ValueError: the shapes do not fit.
  """
  pair = signals.check_pair(estimate, target)
  sets = [Statistics.from_embeddings(embed(audio)) for audio in pair]
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
  """R with R R^T = C."""
  values, vectors = np.linalg.eigh(covariance)
  # Rounding leaves small negative values where there should be zeros.
  return vectors * np.sqrt(np.maximum(values, 0.0))
