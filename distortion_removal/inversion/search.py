"""Searches of settings that evaluate many candidates as one batch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Takes `[candidates, settings]`, returns `[candidates]`.
Objective = Callable[[np.ndarray], np.ndarray]


class _Strategy(NamedTuple):
  """Constants of CMA-ES for a dimension and a population, as in its source."""

  weights: np.ndarray  # of the better half, falling
  mass: float
  step_rate: float
  damping: float
  path_rate: float
  one_rate: float
  many_rate: float
  length: float  # expected norm of a normal vector

  @classmethod
  def of(cls, dimension: int, population: int) -> "_Strategy":
    n, half = dimension, population // 2
    weights = np.log(half + 0.5) - np.log(np.arange(1, half + 1))
    weights /= weights.sum()
    mass = 1.0 / np.square(weights).sum()
    step_rate = (mass + 2.0) / (n + mass + 5.0)
    damping = 1.0 + step_rate
    damping += 2.0 * max(0.0, np.sqrt((mass - 1.0) / (n + 1.0)) - 1.0)
    path_rate = (4.0 + mass / n) / (n + 4.0 + 2.0 * mass / n)
    one_rate = 2.0 / ((n + 1.3) ** 2 + mass)
    many_rate = 2.0 * (mass - 2.0 + 1.0 / mass) / ((n + 2.0) ** 2 + mass)
    many_rate = min(1.0 - one_rate, many_rate)
    length = np.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n**2))
    return cls(
      weights, mass, step_rate, damping, path_rate, one_rate, many_rate, length
    )


class _Cloud:
  """A normal distribution of candidates that moves downhill and adapts."""

  def __init__(self, start: np.ndarray, steps: np.ndarray, population: int):
    self.mean, self.scale, self.step = start.astype(float), steps, 1.0
    dimension = len(start)
    self.strategy = _Strategy.of(dimension, population)
    self.covariance = np.eye(dimension)
    self.step_path = self.path = np.zeros(dimension)

  def update(self, candidates: np.ndarray, values: np.ndarray) -> None:
    """Moves to the better half of the candidates."""
    s = self.strategy
    order = np.argsort(values)[: len(s.weights)]
    moves = (candidates[order] - self.mean) / self.scale / self.step
    move = s.weights @ moves
    self.mean = self.mean + self.step * self.scale * move
    axes, basis = np.linalg.eigh(self.covariance)
    white = basis @ ((basis.T @ move) / np.sqrt(np.maximum(axes, 1e-20)))
    keep = np.sqrt(s.step_rate * (2 - s.step_rate) * s.mass)
    self.step_path = (1 - s.step_rate) * self.step_path + keep * white
    norm = np.linalg.norm(self.step_path)
    moves_on = norm < (1.4 + 2.0 / (len(move) + 1.0)) * s.length * 1.5
    keep = np.sqrt(s.path_rate * (2 - s.path_rate) * s.mass) * moves_on
    self.path = (1 - s.path_rate) * self.path + keep * move
    self.covariance = (
      (1 - s.one_rate - s.many_rate) * self.covariance
      + s.one_rate * np.outer(self.path, self.path)
      + s.many_rate * np.einsum("k,ki,kj->ij", s.weights, moves, moves)
    )
    self.step *= np.exp(
      min(1.0, s.step_rate / s.damping * (norm / s.length - 1.0))
    )

  def draw(self, normal: np.ndarray) -> np.ndarray:
    axes, basis = np.linalg.eigh(self.covariance)
    root = basis * np.sqrt(np.maximum(axes, 0.0))
    return self.mean + self.step * self.scale * (normal @ root.T)


def descend(
  objective: Objective,
  starts: np.ndarray,
  steps: np.ndarray,
  *,
  population: int,
  generations: int,
  tolerance: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
  """Minimises from several starts at once by CMA-ES.

  Every generation is one call of the objective: the population of each start,
  half of it mirrored. The strategy looks at the order of values only, which
  suits a criterion that has a cusp at its minimum, and learns the valley's
  direction. Deterministic.

  Args:
    objective: what to minimise.
    starts: `[starts, settings]`.
    steps: `[settings]`, first standard deviations.
    population: candidates of a start; even.
    generations: number of them.
    tolerance: all are done when values of no start's population differ more.

  Returns:
    The best settings of each start `[starts, settings]`, and their values.

  Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772,
  2016, without negative weights.
  """
  generator = np.random.default_rng(0)
  count, dimension = starts.shape
  clouds = [_Cloud(start, steps, population) for start in starts]
  best, least = starts.astype(float), np.full(count, np.inf)
  for _ in range(generations):
    half = generator.standard_normal((population // 2, dimension))
    normal = np.concatenate([half, -half])
    candidates = np.stack([cloud.draw(normal) for cloud in clouds])
    # The mean itself is one of them: it averages out what the draw adds.
    candidates[:, 0] = [cloud.mean for cloud in clouds]
    values = objective(candidates.reshape(-1, dimension)).reshape(count, -1)
    for index, cloud in enumerate(clouds):
      lowest = values[index].argmin()
      if values[index, lowest] < least[index]:
        least[index] = values[index, lowest]
        best[index] = candidates[index, lowest]
      cloud.update(candidates[index], values[index])
    if np.ptp(values, axis=1).max() < tolerance:
      break
  return best, least


def separate_minima(
  values: np.ndarray, is_near: Callable[[int, int], bool], count: int
) -> list[tuple[int, int]]:
  """Returns the lowest local minima along the rows of a grid, best first.

  Args:
    values: `[rows, columns]`.
    is_near: tells from two indices into the flattened grid whether one minimum
      stands for both.
    count: the most to return.
  """
  padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
  is_minimum = (values <= padded[:, :-2]) & (values <= padded[:, 2:])
  flat = np.flatnonzero(is_minimum & np.isfinite(values))
  kept: list[int] = []
  for index in flat[np.argsort(values.ravel()[flat], kind="stable")]:
    if len(kept) < count and not any(is_near(index, other) for other in kept):
      kept.append(index)
  return [divmod(int(index), values.shape[1]) for index in kept]
