"""A recording as the search sees it: J and its descent at chosen blocks."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects.invertible import Invertible, Parameters
from distortion_removal.inversion import gauss_newton
from distortion_removal.inversion.criterion import (
  Blocks,
  Cuts,
  Undone,
  as_is,
  criterion,
  residuals,
  undo,
)

# Settings as the search has them: gain in dB, 100 log(scale), shift.
GAIN, SCALE, SHIFT = range(3)
_BOUNDS = np.array([[0.0, 75.0], [-900.0, 400.0], [-0.5, 0.5]])
# What each is changed by to see what it does.
_CHANGE = np.array([1e-4, 1e-4, 1e-6])
# Factors of Gauss and Newton's step that are tried.
_PACES = np.array([1.5, 1.0, 0.7, 0.5, 0.3, 0.1, 0.03])
# Candidates that J is compiled for, and those that its parts are: settings, and
# a change of each.
CANDIDATES, CHANGES = 16, 4
# Standard deviation of the blocks that count: 20 steps of 16 bits.
_QUIETEST = 20 / 2**15


class Recording(NamedTuple):
  """A recording and where the criterion looks.

  Attributes:
    effect: taken to have been applied.
    blocks: sizes.
    audio: `[time]`.
    cuts: places, as many in each so that one compilation does for any number.
  """

  effect: Invertible
  blocks: Blocks
  audio: jax.Array
  cuts: tuple[Cuts, ...]

  @property
  def weights(self) -> np.ndarray:
    """The weights of all blocks, `[blocks]`."""
    return np.concatenate([some.weights for some in self.cuts])

  def residuals(self, undone: Undone) -> tuple[np.ndarray, ...]:
    """Returns what `criterion.residuals` does, of all blocks."""
    found = self._each(residuals, undone)
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

  def as_is(self, lanes: int) -> float:
    """Returns J of the recording taken as clean; lanes: see `objective`."""
    return float(sum(self._each(criterion, as_is(self.audio, lanes)))[0])

  def undo(self, settings: np.ndarray) -> Undone:
    """Undoes the effect with settings `[candidates, 3]`."""
    return undo(self.effect, self.audio, parameters_of(settings))

  def _each(self, function: Callable[..., Any], undone: Undone) -> list[Any]:
    """Returns what a function of `criterion` gives at each of the cuts."""

    def at(some: Cuts) -> Any:
      return jax.tree.map(np.asarray, function(self.blocks, undone, some))

    return in_threads(at, self.cuts)

  def objective(self, lanes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Returns J of settings `[candidates, 3]`, so many at a time."""

    def function(settings: np.ndarray) -> np.ndarray:
      more = -len(settings) % lanes
      padded = np.pad(settings, ((0, more), (0, 0)), mode="edge")
      parts = padded.reshape(-1, lanes, 3)
      values = in_threads(
        lambda part: sum(self._each(criterion, self.undo(part))), parts
      )
      values = np.concatenate(values)[: len(settings)]
      low, high = _BOUNDS.T
      beyond = np.maximum(low - settings, settings - high).clip(0.0)
      values = values + 10.0 * (beyond / (high - low)).sum(axis=1)
      return np.where(np.isfinite(values), values, np.inf)

    return function

  def descend(
    self, settings: np.ndarray, free: tuple[int, ...], rounds: int, least: float
  ) -> tuple[np.ndarray, float]:
    """Improves settings by Gauss and Newton's steps, until it pays too little.

    Returns:
      The settings, and J.
    """
    columns = list(free)
    # The shift is worth little at first: steps without it are tried, too.
    fewer = [k for k in columns if k != SHIFT]
    sets = [columns, fewer] if 0 < len(fewer) < len(columns) else [columns]
    objective = self.objective(CANDIDATES)
    for _ in range(rounds):
      tried = np.repeat(settings[None], CHANGES, axis=0)
      for row, column in enumerate(columns, 1):
        tried[row, column] += _CHANGE[column]
      errors, slopes, _ = self.residuals(self.undo(tried))
      candidates = [settings]
      for some in sets:
        rows = [0, *(1 + columns.index(k) for k in some)]
        move = np.zeros(3)
        move[some] = gauss_newton.step(
          errors[:, rows],
          slopes[:, rows],
          self.weights,
          self.blocks.part,
          _CHANGE[some],
        )
        candidates += list(settings + _PACES[:, None] * move)
      values = objective(np.array(candidates))
      best = values.argmin()
      settings = candidates[best]
      if values[0] - values[best] < least:
        break
    return settings, float(values[best])


def sizes(rate: int, *, block_ms: int, part_ms: int, order: int) -> Blocks:
  """Returns sizes in samples for a sample rate in Hz."""
  # Parts are multiples of eight samples, for the logarithms of products.
  part = max(8, -(-round(part_ms * rate / 1000) // 8) * 8)
  length = max(1, round(block_ms * rate / 1000 / part)) * part
  return Blocks(length, round(0.016 * rate), part, order)


def cut(
  effect: Invertible,
  audio: np.ndarray,
  blocks: Blocks,
  count: int,
  skipped: int = 0,
  *,
  at_once: int = 100,
) -> Recording | None:
  """Cuts a recording into blocks with sound.

  Args:
    effect: taken to have been applied.
    audio: `[time]`.
    blocks: sizes.
    count: number of blocks, at most.
    skipped: samples at the start.
    at_once: blocks that the criterion is compiled for.

  Returns:
    The recording, or None: it has no sound.
  """
  first = skipped + max(blocks.margin, blocks.order)
  whole = (len(audio) - first - blocks.margin) // blocks.length
  starts = first + blocks.length * np.arange(max(whole, 0))
  each = audio[first : first + len(starts) * blocks.length]
  is_loud = each.reshape(-1, blocks.length).std(axis=1) > _QUIETEST
  starts = starts[is_loud]
  if not len(starts):
    return None
  count = min(count, len(starts))
  chosen = starts[np.rint(np.linspace(0, len(starts) - 1, count)).astype(int)]
  more = -count % at_once
  weights = np.pad(np.full(count, 1.0 / count), (0, more))
  starts = np.pad(chosen, (0, more), mode="edge").astype(np.int32)
  cuts = Cuts(starts.reshape(-1, at_once), weights.reshape(-1, at_once))
  cuts = tuple(Cuts(*some) for some in zip(*cuts, strict=True))
  return Recording(effect, blocks, jnp.asarray(audio), cuts)


def loudest(audio: np.ndarray, length: int) -> int:
  """Returns where the loudest part of a length begins."""
  energy = np.concatenate([[0.0], np.cumsum(np.square(audio))])
  starts = np.arange(0, max(1, len(audio) - length + 1), 160)
  ends = np.minimum(starts + length, len(audio))
  return int(starts[np.argmax(energy[ends] - energy[starts])])


def in_threads(
  function: Callable[[Any], Any], items: Iterable[Any]
) -> list[Any]:
  """Maps a function over items; a scan over time keeps one core busy only."""

  def traced(item: Any) -> Any:
    with jax.enable_x64(True):  # of this thread
      return function(item)

  items = list(items)
  if len(items) == 1:
    return [traced(items[0])]
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(traced, items))


def parameters_of(settings: np.ndarray) -> Parameters:
  """Turns settings `[candidates, 3]` into parameters, `[candidates]` each."""
  gain, scale, shift = settings.T
  factor = 10.0 ** (gain.clip(*_BOUNDS[GAIN]) / 20.0)
  parameters = factor, np.exp(scale / 100.0), shift, 0.0 * shift
  return Parameters(*(jnp.asarray(x) for x in parameters))
