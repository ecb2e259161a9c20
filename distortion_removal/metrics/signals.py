"""Checks of an estimate and its target; threads over the items of a batch."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from distortion_removal.common import cores

T = TypeVar("T")


def check_pair(
  estimate: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns two signals as arrays that can be compared sample by sample.

  Raises:
    ValueError: the shapes are not those of a metric, see `metrics`, or the
      samples are integers, whose full scale is unknown.
  """
  estimate, target = np.asarray(estimate), np.asarray(target)
  shapes = estimate.shape, target.shape
  fits = len(shapes[0]) == 3 and shapes[0][1:] == shapes[1][1:]
  if not fits or shapes[1][0] not in (1, shapes[0][0]):
    raise ValueError(
      "estimate and target must have one shape [batch, time, channels], or "
      f"the target a batch of one, got {shapes[0]} and {shapes[1]}"
    )
  for audio in (estimate, target):
    if not np.issubdtype(audio.dtype, np.floating):
      raise ValueError(f"audio must be floating point, got {audio.dtype}")
  return estimate, target


def defined(estimate: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Marks the items with a score: both sides finite, target not silent."""
  finite = [np.isfinite(x).all(axis=(1, 2)) for x in (estimate, target)]
  return finite[0] & finite[1] & np.any(target, axis=(1, 2))


def map_items(function: Callable[[int], T], items: Iterable[int]) -> list[T]:
  """Runs `function(item)` with one thread per core.

  For work that NumPy and SciPy do without Python's lock: long transforms.
  """
  items = list(items)
  workers = min(len(items), cores.available())
  if workers <= 1:
    return [function(item) for item in items]
  with ThreadPoolExecutor(workers) as pool:
    return list(pool.map(function, items))
