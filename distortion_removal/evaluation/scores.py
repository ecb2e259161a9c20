"""The metrics of an evaluation: for each excerpt, and for whole systems."""

import functools
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from distortion_removal import metrics
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.evaluation.store import Embeddings
from distortion_removal.metrics import Metric, number
from distortion_removal.metrics.fad.frechet import (
  Statistics,
  distance,
  warn_of_rank,
)
from distortion_removal.report.failures import reason


def usable(
  names: Sequence[str], sample_rate: int, channels: int
) -> tuple[list[str], dict[str, str]]:
  """Returns the metrics that can be computed here, and why others cannot."""
  found, left_out = [], {}
  for name in names:
    try:
      metrics.get(name).check(sample_rate=sample_rate, channels=channels)
      found.append(name)
    except UserError as error:
      logger.warning("%s is left out: %s", name, error)
      left_out[name] = str(error)
  return found, left_out


class Scores(NamedTuple):
  """The scores of one excerpt's estimates by one method.

  Attributes:
    rows: each metric by name, for every level; None where it is undefined.
    embeddings: the windows that metrics of sets compare.
    errors: one line for each metric that failed.
  """

  rows: list[dict[str, float | None]]
  embeddings: Embeddings
  errors: list[str]


def score(
  names: Sequence[str],
  estimate: np.ndarray,
  clean: np.ndarray,
  degraded: np.ndarray,
  *,
  sample_rate: int,
) -> Scores:
  """Scores one excerpt's estimates `[levels, time, channels]` by one method."""
  _, embeddings, errors = embed(names, estimate, sample_rate=sample_rate)
  rows: list[dict] = [{} for _ in estimate]
  for name in names:
    metric = metrics.get(name)
    if metric.embed is not None:
      continue
    column = np.full(len(estimate), np.nan)
    try:
      column = metric.score(estimate, clean, degraded, sample_rate=sample_rate)
    except Exception as error:
      errors.append(f"{name}: {reason(error)}")
    for row, value in zip(rows, column, strict=True):
      row[name] = number(value)
  return Scores(rows, embeddings, errors)


def no_scores(names: Sequence[str], levels: int) -> Scores:
  """Returns the scores of an excerpt on which a method has failed."""
  listed = [name for name in names if metrics.get(name).embed is None]
  return Scores([dict.fromkeys(listed) for _ in range(levels)], {}, [])


def embed(
  names: Sequence[str], audio: np.ndarray, *, sample_rate: int
) -> Scores:
  """Embeds `[batch, time, channels]` for those metrics that compare sets."""
  found, errors = {}, []
  for name in names:
    metric = metrics.get(name)
    if metric.embed is None:
      continue
    try:
      found[name] = _embeddings(metric, audio, sample_rate)
    except Exception as error:
      errors.append(f"{name}: {reason(error)}")
  return Scores([], found, errors)


def _embeddings(
  metric: Metric, audio: np.ndarray, sample_rate: int
) -> list[np.ndarray]:
  """Embeds every item of `[batch, time, channels]`."""
  if np.isfinite(audio).all():
    # In one call; items of one length have as many windows each.
    windows = metric.embed(audio, sample_rate=sample_rate)
    return np.split(windows, len(audio))
  return [metric.embed(x[None], sample_rate=sample_rate) for x in audio]


class Systems:
  """Metrics of sets, from embeddings that are added excerpt by excerpt."""

  def __init__(self, levels: Sequence[float]):
    self._levels = levels
    self._references: dict[str, Statistics] = {}
    self._systems: dict[tuple[str, str, float], Statistics] = {}

  def add_target(self, embeddings: Embeddings) -> None:
    """Adds the clean side of an excerpt, which has one level."""
    for name, (windows,) in embeddings.items():
      _add(self._references, name, windows)

  def add(self, method: str, embeddings: Embeddings) -> None:
    """Adds an excerpt's estimates by a method."""
    for name, of_levels in embeddings.items():
      for level, windows in zip(self._levels, of_levels, strict=True):
        _add(self._systems, (name, method, level), windows)

  def rows(self, level_name: str) -> Iterator[dict]:
    """Computes the metrics of every method at each level and at all (None).

    Args:
      level_name: the column for the level.

    Yields:
      The method, the level, each metric of sets by name, None where it is
      undefined, and the numbers of windows on either side.
    """
    if self._systems and self._references:
      warn_of_rank([*self._references.values(), *self._systems.values()])
    methods = dict.fromkeys(method for _, method, _ in self._systems)
    for method in methods:
      for level in (*self._levels, None):
        row = {"method": method, level_name: level}
        levels = self._levels if level is None else (level,)
        for name, reference in self._references.items():
          keys = [(name, method, x) for x in levels]
          found = [self._systems[key] for key in keys if key in self._systems]
          if not found:  # The metric has failed on every excerpt.
            row |= {name: None, f"{name}_windows": [0, reference.count]}
            continue
          whole = functools.reduce(Statistics.merge, found)
          row[name] = number(distance(whole, reference))
          row[f"{name}_windows"] = [whole.count, reference.count]
        yield row


def _add(table: dict, key: Hashable, windows: np.ndarray) -> None:
  statistics = Statistics.from_embeddings(windows)
  table[key] = table[key].merge(statistics) if key in table else statistics
