"""Where audio is clipped: the rails, found or given, and the samples at them.

A clipper holds at its rail whatever would pass it; samples between the rails
are reliable.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distortion_removal.common.errors import UserError

_BLOCK = 1 << 16
_LSB = 2.0**-15  # of 16 bit
_FLOAT32_ROUNDING = 2.0**-22
_ROUNDING = {
  np.dtype(np.float32): _FLOAT32_ROUNDING,
  np.dtype(np.float64): 2.0**-51,
}

# The plateaus that `find_rails` looks for, see there.
_DISTINCT = 64
_BAND = 0.005
_BAND_STEPS = 8
_COARSEST_STEP = 0.01  # a little more than that of 8 bit

ClipLevel = npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike]


class Rails(NamedTuple):
  """The values that a clipper holds, low <= 0 <= high; infinite without one.

  Both are `[batch, channels]` float64; 1.0 is full scale.
  """

  low: np.ndarray
  high: np.ndarray


def as_samples(audio: npt.ArrayLike) -> np.ndarray:
  """Returns float64 audio as it is and other audio as float32, in NumPy."""
  audio = np.asarray(audio)
  if audio.ndim != 3:
    raise ValueError(f"audio must be [batch, time, channels]: {audio.shape}")
  if not np.issubdtype(audio.dtype, np.floating):
    raise UserError(f"audio is {audio.dtype}; divide it by its full scale")
  return audio if audio.dtype == np.float64 else audio.astype(np.float32)


def find_rails(audio: np.ndarray) -> Rails:
  """Finds the rails of each channel of each item, above and below.

  A clipper leaves plateaus. A natural peak is round: however flat quantisation
  makes its top, more samples lie on the slopes next to it; and a sine in step
  with the sampling rate, whose extreme returns each period with nothing near
  it, holds it for two samples at most.

  So a side is clipped where three successive samples have the extreme value
  (to float32 rounding), more samples have it than lie within 0.5 % or eight
  quantisation steps of it, whichever is more, and it is further from zero
  than those steps. If one side is, so is the other where its extreme is the
  same but for sign and rounding.

  Args:
    audio: `[batch, time, channels]`, finite.
  """
  batch, time, channels = audio.shape
  rails = Rails(np.empty((batch, channels)), np.empty((batch, channels)))
  starts = range(0, max(1, time), _BLOCK)
  for i, item in enumerate(audio):
    found = find_rails_in_stream(
      lambda item=item: (item[start : start + _BLOCK] for start in starts)
    )
    rails.low[i], rails.high[i] = found.low[0], found.high[0]
  return rails


def find_rails_in_stream(read: Callable[[], Iterable[np.ndarray]]) -> Rails:
  """Finds the rails of a recording too long for memory, as `find_rails` does.

  Args:
    read: returns the whole recording, as blocks `[time, channels]`; called
      twice.
  """
  tops = None
  for block in read():
    sides = _sides(block)
    tops = tops or [np.empty(0)] * sides.shape[1]
    tops = [_largest(t, x) for t, x in zip(tops, sides.T, strict=True)]
  if tops is None:
    raise UserError("the recording is empty; give one that holds samples")

  peak = np.array([top[0] if len(top) else 0.0 for top in tops])
  step = np.array([_quantisation_step(top) for top in tops])
  floor = peak - np.maximum(_BAND * peak, (_BAND_STEPS + 0.5) * step)
  is_clipped = (peak > _BAND_STEPS * step) & _has_plateau(read(), peak, floor)

  high, low = peak.reshape(2, -1)
  step = step.reshape(2, -1).max(axis=0)
  rounding = np.maximum(_FLOAT32_ROUNDING * high, 1.5 * step)
  is_clipped = is_clipped.reshape(2, -1)
  is_clipped |= is_clipped.any(axis=0) & (abs(high - low) <= rounding)
  high, low = np.where(is_clipped, (high, low), np.inf)
  return Rails(-low[None], high[None])


def _sides(block: np.ndarray) -> np.ndarray:
  """Returns the channels and their negatives, `[time, 2 * channels]`."""
  block = np.asarray(block, np.float64)
  return np.concatenate([block, -block], axis=1)


def _largest(top: np.ndarray, samples: np.ndarray) -> np.ndarray:
  """Returns the largest distinct values of both, descending."""
  least = top[-1] if len(top) == _DISTINCT else -np.inf
  values = np.unique(np.concatenate([top, samples[samples > least]]))
  return values[: -_DISTINCT - 1 : -1]


def _quantisation_step(top: np.ndarray) -> float:
  """Returns the step whose multiples all gaps are; 0 if there is none."""
  gaps = -np.diff(top)
  # Among few values no two need to be a single step apart.
  for parts in (1, 2, 3, 4):
    step = gaps.min(initial=np.inf) / parts
    multiples = gaps / step
    if np.all(abs(multiples - np.round(multiples)) < 0.02):
      return step if step < _COARSEST_STEP else 0.0
  return 0.0


def _has_plateau(
  blocks: Iterable[np.ndarray], peak: np.ndarray, floor: np.ndarray
) -> np.ndarray:
  """Tests for three peaks in a row, and more peaks than values just below."""
  threshold = peak * (1 - _FLOAT32_ROUNDING)
  held, near, is_run = 0, 0, np.zeros(len(peak), bool)
  before = np.zeros((2, len(peak)), bool)
  for block in blocks:
    sides = _sides(block)
    is_held = sides >= threshold
    held += np.sum(is_held, axis=0)
    near += np.sum(sides >= floor, axis=0)
    is_held = np.concatenate([before, is_held])
    is_run |= np.any(is_held[:-2] & is_held[1:-1] & is_held[2:], axis=0)
    before = is_held[-2:]
  return is_run & (held > near - held)


def resolve_rails(
  audio: np.ndarray, clip_level: ClipLevel | None = None
) -> Rails:
  """Turns a given level into rails; finds them if none is given.

  A level read off a display, or from before the samples were made 16 bit, may
  lie just above the samples that were clipped at it. A level less than a step
  of 16 bit above a plateau (an extreme of two samples or more) therefore
  becomes the plateau's, as does one that rounding to float32 left below it.
  `Rails` are taken as they are.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    clip_level: a positive number or `[batch]`, for both rails; or low and
      high, each a number or `[batch, channels]`, infinite where there is no
      rail.

  Raises:
    UserError: the audio is not finite, or the level has another form.
  """
  batch, time, channels = audio.shape
  for i, item in enumerate(audio):
    if not np.isfinite(item).all():
      raise UserError(f"audio item {i} holds NaN or infinity; repair it")
  if clip_level is None:
    return find_rails(audio)
  rails = _given_rails(clip_level, (batch, channels))
  if isinstance(clip_level, Rails) or not time:
    return rails
  return Rails(-_snap(-audio, -rails.low), _snap(audio, rails.high))


def _given_rails(clip_level: ClipLevel, shape: tuple[int, int]) -> Rails:
  """Returns the user's level as rails of that shape, `[batch, channels]`."""
  if isinstance(clip_level, tuple) and len(clip_level) == 2:
    low, high = (_numbers(level, shape) for level in clip_level)
  else:
    high = np.repeat(_numbers(clip_level, shape[:1])[:, None], shape[1], axis=1)
    low = -high
  if not np.all((low <= 0) & (high >= 0) & (low < high)):
    text = " ".join(str(clip_level).split())
    raise UserError(f"clip level {text}: give one above 0, or low <= 0 <= high")
  return Rails(low, high)


def _numbers(level: npt.ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
  level = np.asarray(level, np.float64)
  if level.shape not in ((), shape):
    raise UserError(f"clip level has shape {level.shape}; give () or {shape}")
  return np.broadcast_to(level, shape)


def _snap(audio: np.ndarray, level: np.ndarray) -> np.ndarray:
  """Returns the plateau at or just below the level, else the level."""
  peak = np.max(audio, axis=1)
  is_plateau = np.sum(audio == peak[:, None], axis=1) > 1
  is_below = (peak < level) & (level - peak < _LSB)
  # Audio that is float64 now may have been clipped in float32.
  is_rounded = (peak > level) & (peak <= level * (1.0 + _FLOAT32_ROUNDING))
  return np.where(is_plateau & (is_below | is_rounded), peak, level)


def clip_signs(audio: np.ndarray, rails: Rails) -> np.ndarray:
  """Marks the clipped samples: those at a rail, to rounding, or beyond.

  Returns:
    int8 of the audio's shape: 1 above, -1 below, 0 reliable.
  """
  kept = 1 - _ROUNDING[audio.dtype]
  above = audio >= kept * rails.high[:, None]
  below = audio <= kept * rails.low[:, None]
  return above.astype(np.int8) - below.astype(np.int8)


def allowed_range(
  audio: np.ndarray, rails: Rails, signs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the low and high ends of the interval that holds each true sample.

  Reliable samples are known; clipped ones are at the rail or beyond.
  """
  sides = [signs > 0, signs < 0]
  low = np.select(sides, [rails.high[:, None], -np.inf], audio)
  high = np.select(sides, [np.inf, rails.low[:, None]], audio)
  return low, high


def farther_rails(rails: Rails) -> np.ndarray:
  """Returns the farther rail of each channel, `[batch, channels]`; 1 if none.

  Thresholds in units of it make a declipper's result scale with its input.
  """
  farther = np.max([np.where(np.isinf(x), 0.0, abs(x)) for x in rails], axis=0)
  return np.where(farther > 0.0, farther, 1.0)
