"""Finds an effect's settings from a recording alone, and how sure they are.

The criterion's valley is 0.4 dB of gain by 0.4 % of scale wide where the effect
is gentle, so a fine grid on the loudest second and a half comes first. The grid
has a low order of prediction, for speed; the last steps have a high one, whose
residual of music with steady tones is smaller: on our validation recordings it
takes the error of the scale from 2e-4 to 5e-5.

Of shift, offset and the DC of the clean signal one is free: a signal that is
higher by d, a shift that is lower by gain d and an offset that is lower by
dry scale d make the same recording. So the offset is held at 0, and settled
afterwards, see `settings.with_usual_colour`. Without clean signal the gain is
the clean signal's, and the shift its DC: only the scale is sought.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.effects.invertible import Invertible, Parameters
from distortion_removal.inversion import gauss_newton
from distortion_removal.inversion.criterion import (
  Blocks,
  Cuts,
  criterion,
  criterion_as_is,
  residuals,
)
from distortion_removal.inversion.search import descend, separate_minima

# Settings as the search has them: gain in dB, 100 log(scale), shift.
_NAMES = ("gain_db", "scale", "shift")
_GAIN, _SCALE, _SHIFT = range(3)
# What each is changed by to see what it does.
_CHANGE = np.array([1e-4, 1e-4, 1e-6])
_BOUNDS = np.array([[0.0, 75.0], [-900.0, 400.0], [-0.5, 0.5]])
_GAINS_DB = np.arange(10.0, 61.0, 2.0)
_STARTS = 6
_STEPS = np.array([1.0, 0.6, 0.03])  # first deviations from the starts
_KEPT = 3
# Factors of Gauss and Newton's step that are tried.
_PACES = np.array([1.5, 1.0, 0.7, 0.5, 0.3, 0.1, 0.03])
_LOUDEST_SECONDS = 1.5
LONGEST_SECONDS = 10.0
_SKIPPED_SECONDS = 0.1
# Standard deviation of the blocks that count: 20 steps of 16 bits.
_QUIETEST = 20 / 2**15


class Estimate(NamedTuple):
  """What was found.

  Attributes:
    effect: taken to have been applied.
    parameters: the settings, floats.
    criterion: J with them.
    as_is: J of the recording taken as clean.
    sharpness: what J rises by, at least, where the scale is off by 0.3 %.
  """

  effect: Invertible
  parameters: Parameters
  criterion: float
  as_is: float
  sharpness: float

  @property
  def gain_db(self) -> float:
    """The gain in dB."""
    return 20.0 * float(np.log10(self.parameters.gain))

  @property
  def is_certain(self) -> bool:
    """Tells whether this effect made the recording, to all appearance.

    A wrong effect, or none, has no sharp minimum: on recordings that are clean,
    clipped or driven otherwise the sharpness stays below 0.002.
    """
    # Without clean signal the gain is that of the clean signal, and unknown.
    is_usual = not self.effect.dry or 12.0 <= self.gain_db <= 60.0
    is_likelier = self.as_is - self.criterion >= 0.1
    return is_usual and is_likelier and self.sharpness >= 0.01

  @property
  def is_likelier(self) -> bool:
    """Tells whether the effect is likelier than none.

    That is little: a soft curve of any kind explains much. But it is all that
    gentle ones leave, whose minima are wide.
    """
    return self.as_is - self.criterion >= 0.02


class _Recording(NamedTuple):
  """A recording and where the criterion looks.

  Attributes:
    effect: taken to have been applied.
    blocks: sizes.
    audio: `[time]`.
    cuts: places.
  """

  effect: Invertible
  blocks: Blocks
  audio: jax.Array
  cuts: Cuts

  def objective(self, lanes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Returns J of settings `[candidates, 3]`, so many at a time."""

    def function(settings: np.ndarray) -> np.ndarray:
      more = -len(settings) % lanes
      padded = np.pad(settings, ((0, more), (0, 0)), mode="edge")
      parts = padded.reshape(-1, lanes, 3)
      values = _in_threads(
        lambda part: np.asarray(criterion(*self, _parameters(part))), parts
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
    fewer = [k for k in columns if k != _SHIFT]
    sets = [columns] if fewer == columns else [columns, fewer]
    objective = self.objective(16)
    for _ in range(rounds):
      tried = np.repeat(settings[None], 4, axis=0)
      for row, column in enumerate(columns, 1):
        tried[row, column] += _CHANGE[column]
      errors, slopes = residuals(*self, _parameters(tried))
      errors, slopes = np.asarray(errors), np.asarray(slopes)
      candidates = [settings]
      for some in sets:
        rows = [0, *(1 + columns.index(k) for k in some)]
        move = np.zeros(3)
        move[some] = gauss_newton.step(
          errors[:, rows],
          slopes[:, rows],
          np.asarray(self.cuts.weights),
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


def estimate(
  effect: Invertible,
  audio: np.ndarray,
  sample_rate: int,
  *,
  is_start: bool = True,
  known: Mapping[str, float] = MappingProxyType({}),
) -> Estimate | None:
  """Finds the settings under which an effect made a recording of music.

  Args:
    effect: the effect.
    audio: `[time]`; of more than ten seconds the first ten count.
    sample_rate: in Hz.
    is_start: whether the effect began with the audio, as at a file's start.
    known: settings that are given, by name: "gain_db", "scale" and "shift".

  Returns:
    The estimate, or None where there is too little sound.

  Source: none is published; see docs/inversion.md.
  """
  audio = np.asarray(audio[: round(LONGEST_SECONDS * sample_rate)], np.float64)
  with jax.enable_x64(True):
    return _estimate(effect, audio, sample_rate, is_start, known)


def _estimate(
  effect: Invertible,
  audio: np.ndarray,
  rate: int,
  is_start: bool,
  known: Mapping[str, float],
) -> Estimate | None:
  free = (_GAIN, _SCALE, _SHIFT) if effect.dry else (_SCALE,)
  free = tuple(k for k in free if _NAMES[k] not in known)
  blocks = _sizes(rate, block_ms=16, part_ms=1, order=96)
  # What the effect remembers at a cut is not known, but matters little soon.
  skipped = 0 if is_start else round(_SKIPPED_SECONDS * rate)
  if free:
    starts = _coarse(effect, audio, rate, skipped, known, free)
  else:
    starts = _given(known)
  medium = _recording(effect, audio, blocks, 100, skipped)
  fine = _recording(effect, audio, blocks, 400, skipped)
  if starts is None or medium is None:
    return None
  settings = starts[0]
  if free:
    found = _in_threads(lambda x: medium.descend(x, free, 8, 1e-4), starts)
    settings = min(found, key=lambda pair: pair[1])[0]
    settings, _ = fine.descend(settings, free, 6, 1e-7)
  off = np.zeros((3, 3))
  off[:, _SCALE] = 100.0 * np.log(1.003) * np.array([0, -1, 1])
  least, *around = fine.objective(16)(settings + off)
  as_is = criterion_as_is(fine.blocks, fine.audio, fine.cuts)
  return Estimate(
    effect,
    Parameters(*(x.item() for x in _parameters(settings[None]))),
    float(least),
    float(as_is),
    float(min(around) - least),
  )


def _given(known: Mapping[str, float]) -> np.ndarray:
  """Returns settings that are all given, `[1, 3]`."""
  start = np.zeros((1, 3))
  start[0, _GAIN] = known.get("gain_db", 0.0)
  start[0, _SCALE] = 100.0 * np.log(known["scale"])
  start[0, _SHIFT] = known.get("shift", 0.0)
  return start


def _coarse(
  effect: Invertible,
  audio: np.ndarray,
  rate: int,
  skipped: int,
  known: Mapping[str, float],
  free: Sequence[int],
) -> np.ndarray | None:
  """Returns the best settings by the loudest part, `[starts, 3]`."""
  length = round(_LOUDEST_SECONDS * rate)
  first = loudest(audio, length)
  part = audio[first : first + length]
  part = np.pad(part, (0, length - len(part)))
  blocks = _sizes(rate, block_ms=32, part_ms=32, order=16)
  if first:
    skipped = round(_SKIPPED_SECONDS * rate)
  recording = _recording(effect, part, blocks, 32, skipped)
  if recording is None:
    return None
  scales = np.abs(part).max() / _peaks(effect)
  gains = _GAINS_DB if effect.dry else np.zeros(1)
  scales = np.array([known["scale"]]) if "scale" in known else scales
  gains = np.array([known["gain_db"]]) if "gain_db" in known else gains
  grid = np.zeros((len(gains), len(scales), 3))
  grid[..., _GAIN], grid[..., _SCALE] = gains[:, None], 100.0 * np.log(scales)
  grid[..., _SHIFT] = known.get("shift", 0.0)
  values = recording.objective(256)(grid.reshape(-1, 3))
  flat = grid.reshape(-1, 3)

  def is_near(one: int, other: int) -> bool:
    return bool(np.all(np.abs(flat[one] - flat[other])[:2] <= [3.0, 6.0]))

  minima = separate_minima(values.reshape(grid.shape[:2]), is_near, _STARTS)
  starts = np.stack([grid[index] for index in minima])
  starts = np.pad(starts, ((0, _STARTS - len(starts)), (0, 0)), mode="edge")
  steps = _STEPS * [k in free for k in range(3)]
  best, least = descend(
    recording.objective(16 * _STARTS),
    starts,
    np.maximum(steps, 1e-12),
    population=16,
    generations=8,
  )
  kept = separate_minima(
    least[:, None],
    lambda i, j: bool(np.all(np.abs(best[i] - best[j])[:2] <= [0.5, 0.5])),
    _KEPT,
  )
  return np.stack([best[row] for row, _ in kept])


def _peaks(effect: Invertible) -> np.ndarray:
  """Returns what the effect's output may have had as its peak."""
  if effect.dry or effect.blocks_dc:
    return np.exp(np.arange(np.log(0.5), np.log(1.3), 0.0125))
  driven = np.exp(np.arange(np.log(0.1), np.log(40.0), 0.03))
  return effect.wet * np.asarray(effect.curve.apply(jnp.asarray(driven)))


def _sizes(rate: int, *, block_ms: int, part_ms: int, order: int) -> Blocks:
  # Parts are multiples of eight samples, for the logarithms of products.
  part = max(8, -(-round(part_ms * rate / 1000) // 8) * 8)
  length = max(1, round(block_ms * rate / 1000 / part)) * part
  return Blocks(length, round(0.016 * rate), part, order)


def _recording(
  effect: Invertible,
  audio: np.ndarray,
  blocks: Blocks,
  count: int,
  skipped: int = 0,
) -> _Recording | None:
  """Cuts a recording into `count` blocks with sound; None: there are none."""
  first = skipped + max(blocks.margin, blocks.order)
  whole = (len(audio) - first - blocks.margin) // blocks.length
  starts = first + blocks.length * np.arange(max(whole, 0))
  cut = audio[first : first + len(starts) * blocks.length]
  is_loud = cut.reshape(len(starts), -1).std(axis=1) > _QUIETEST
  starts = starts[is_loud]
  if not len(starts):
    return None
  chosen = np.linspace(0, len(starts) - 1, min(count, len(starts)))
  starts = starts[np.rint(chosen).astype(int)]
  weights = np.pad(np.ones(len(starts)), (0, count - len(starts)))
  starts = np.pad(starts, (0, count - len(starts)), mode="edge")
  cuts = Cuts(starts.astype(np.int32), weights / weights.sum())
  return _Recording(effect, blocks, jnp.asarray(audio), cuts)


def loudest(audio: np.ndarray, length: int) -> int:
  """Returns where the loudest part of a length begins."""
  energy = np.concatenate([[0.0], np.cumsum(np.square(audio))])
  starts = np.arange(0, max(1, len(audio) - length + 1), 160)
  ends = np.minimum(starts + length, len(audio))
  return int(starts[np.argmax(energy[ends] - energy[starts])])


def _in_threads(
  function: Callable[[np.ndarray], Any], items: Iterable[np.ndarray]
) -> list[Any]:
  """Maps a function over items; a scan over time keeps one core busy only."""

  def traced(item: np.ndarray) -> Any:
    with jax.enable_x64(True):  # of this thread
      return function(item)

  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(traced, items))


def _parameters(settings: np.ndarray) -> Parameters:
  """Turns settings `[candidates, 3]` into parameters, `[candidates]` each."""
  gain, scale, shift = settings.T
  factor = 10.0 ** (gain.clip(*_BOUNDS[_GAIN]) / 20.0)
  parameters = factor, np.exp(scale / 100.0), shift, 0.0 * shift
  return Parameters(*(jnp.asarray(x) for x in parameters))
