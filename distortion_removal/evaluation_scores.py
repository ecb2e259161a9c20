"""The metrics of an evaluation: of each excerpt, and of whole systems."""

import functools
import time
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from distortion_removal import metrics
from distortion_removal.errors import UserError
from distortion_removal.log import logger
from distortion_removal.metrics import Metric
from distortion_removal.metrics.frechet import (
  Statistics,
  distance,
  warn_of_rank,
)


def usable(
  names: Sequence[str], *, sample_rate: int, channels: int
) -> tuple[list[str], dict[str, str]]:
  """The metrics that can be computed here, and why others are left out."""
  found, left_out = [], {}
  for name in names:
    try:
      metrics.get(name).check(sample_rate=sample_rate, channels=channels)
      found.append(name)
    except UserError as error:
      logger.warning("%s is left out: %s", name, error)
      left_out[name] = str(error)
  return found, left_out


class Scorer:
  """Scores estimates as they come, and keeps what metrics of sets need.

  Args:
    names: of the metrics.
    sample_rate: of all audio, in Hz.
    levels: of degradation, in the order of the estimates of a batch.

  Attributes:
    seconds: spent on metrics so far.
  """

  def __init__(
    self, names: Sequence[str], sample_rate: int, levels: Sequence[float]
  ):
    listed = {name: metrics.get(name) for name in names}
    self._items = {k: m for k, m in listed.items() if m.embed is None}
    self._sets = {k: m for k, m in listed.items() if m.embed is not None}
    self._settings = {name: m.settings for name, m in listed.items()}
    self._rate, self._levels = sample_rate, levels
    self._references: dict[str, Statistics] = {}
    self._systems: dict[tuple[str, str, float], Statistics] = {}
    self.seconds = 0.0

  def watch_target(self, clean: np.ndarray) -> None:
    """Takes in the clean side of the next estimates, `[1, time, channels]`."""
    start = time.perf_counter()
    for name, metric in self._sets.items():
      (found,) = _statistics(metric, clean, self._rate)
      _add(self._references, name, found)
    self.seconds += time.perf_counter() - start

  def rows(
    self,
    method: str,
    estimate: np.ndarray,
    clean: np.ndarray,
    degraded: np.ndarray,
  ) -> Iterator[dict]:
    """Scores one excerpt's estimates by one method.

    Args:
      method: its name.
      estimate: `[levels, time, channels]`.
      clean: `[1, time, channels]`.
      degraded: like `estimate`.

    Yields:
      Of every level: each metric by name, None where it is undefined, what it
      took, and the metrics' settings.
    """
    start = time.perf_counter()
    columns = {}
    for name, metric in self._items.items():
      columns[name] = metric.score(
        estimate, clean, degraded, sample_rate=self._rate
      )
    for name, metric in self._sets.items():
      found = _statistics(metric, estimate, self._rate)
      for level, statistics in zip(self._levels, found, strict=True):
        _add(self._systems, (name, method, level), statistics)
    seconds = time.perf_counter() - start
    self.seconds += seconds
    for k in range(len(self._levels)):
      scores = {name: number(column[k]) for name, column in columns.items()}
      yield scores | {
        "metric_seconds": seconds / len(self._levels),
        "settings": self._settings,
      }

  def systems(self, level_name: str) -> Iterator[dict]:
    """The metrics of sets, of every method at every level and at all (None).

    Args:
      level_name: the column for the level.

    Yields:
      The method, the level, each metric of sets by name, the windows that it
      has been computed from on either side, and the metrics' settings.
    """
    if self._systems:
      warn_of_rank([*self._references.values(), *self._systems.values()])
    methods = dict.fromkeys(method for _, method, _ in self._systems)
    for method in methods:
      for level in (*self._levels, None):
        row = {"method": method, level_name: level}
        for name, reference in self._references.items():
          levels = self._levels if level is None else (level,)
          parts = [self._systems[name, method, x] for x in levels]
          whole = functools.reduce(Statistics.merge, parts)
          row[name] = number(distance(whole, reference))
          row[f"{name}_windows"] = [whole.count, reference.count]
        yield row | {"settings": self._settings}


def _statistics(
  metric: Metric, audio: np.ndarray, sample_rate: int
) -> list[Statistics]:
  """Of the embeddings of every item of `[batch, time, channels]`."""
  if np.isfinite(audio).all():
    # In one call; items of one length have as many windows each.
    windows = metric.embed(audio, sample_rate=sample_rate)
    parts = np.split(windows, len(audio))
  else:
    parts = [metric.embed(x[None], sample_rate=sample_rate) for x in audio]
  return [Statistics.from_embeddings(part) for part in parts]


def _add(table: dict, key: Hashable, statistics: Statistics) -> None:
  table[key] = table[key].merge(statistics) if key in table else statistics


def number(value: float) -> float | None:
  """A JSON number; None where the metric is undefined."""
  return float(value) if np.isfinite(value) else None
