"""Where audio is clipped: the rails, found or given, and the samples at them.

A clipper holds at its rail whatever would pass it; samples between the rails
are reliable.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.plateaus import Plateaus, find_plateaus
from distortion_removal.declipping.plateaus.exact import (
  FLOAT32_ROUNDING,
  HeldPeaks,
  find_extremes,
)

_BLOCK = 1 << 16
_LSB = 2.0**-15  # of 16 bit
_ROUNDING = {
  np.dtype(np.float32): FLOAT32_ROUNDING,
  np.dtype(np.float64): 2.0**-51,
}

ClipLevel = npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike]


class Rails(NamedTuple):
  """The values that a clipper holds; infinite without one.

  Both are `[batch, channels]` float64; 1.0 is full scale. Where a rail is not
  of one value, marks tell which samples are clipped: then each is a rail of its
  own, and the two values only bound them all.
  """

  low: np.ndarray
  high: np.ndarray
  marks: np.ndarray | None = None  # as of `clip_signs`


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
  quantisation steps of it, whichever is more, and it is further from the
  channel's mean than those steps. If one side is, so is the other where its
  extreme is the same but for sign and rounding. A channel that only jumps from
  one extreme to the other is a square wave, and not clipped.

  Rails that noise, codecs or AC coupling have blurred, or that move with the
  gain, are found by flat tops, see `plateaus`; the result then has marks.

  Args:
    audio: `[batch, time, channels]`, finite.
  """
  batch, time, channels = audio.shape
  low, high = np.empty((2, batch, channels))
  marks = np.zeros(audio.shape, np.int8)
  starts = range(0, max(1, time), _BLOCK)
  has_marks = False
  for i, item in enumerate(audio):
    blocks = [item[start : start + _BLOCK] for start in starts]
    found = find_plateaus(lambda blocks=blocks: iter(blocks))
    rails = rails_of(found)
    low[i], high[i] = rails.low[0], rails.high[0]
    has_marks |= bool(found.tracks)
    signs = [signs for _, signs in found.marked(blocks)]
    marks[i] = np.concatenate(signs) if signs else 0
  return Rails(low, high, marks if has_marks else None)


def find_exact_rails(audio: np.ndarray) -> Rails:
  """Finds rails of one value each, in audio that a clipper has written.

  As `find_rails`, but without those that came out blurred or moving; and square
  waves are clipped sines.
  """
  batch, _, channels = audio.shape
  low, high = np.empty((2, batch, channels))
  for i, item in enumerate(audio):
    held = HeldPeaks(find_extremes([item]))
    held.add(item)
    high[i], low[i] = held.rails(of_squares=True)
  return Rails(-low, high)


def rails_of(found: Plateaus) -> Rails:
  """Returns a recording's rails, without marks.

  A side whose rail is not of one value has the extreme, which bounds nothing.
  """
  high, low = found.rails.copy()
  peaks = found.extremes.peak
  for track in found.tracks:
    side = high if track.sign > 0 else low
    side[track.channel] = peaks[int(track.sign < 0), track.channel]
  return Rails(-low[None], high[None])


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
  rails = given_rails(clip_level, (batch, channels))
  if isinstance(clip_level, Rails) or not time:
    return rails
  return Rails(-_snap(-audio, -rails.low), _snap(audio, rails.high))


def given_rails(
  clip_level: ClipLevel, shape: tuple[int, int], name: str = "clip level"
) -> Rails:
  """Returns the user's level as rails of that shape, `[batch, channels]`."""
  marks = None
  if isinstance(clip_level, Rails):
    *clip_level, marks = clip_level
    clip_level = tuple(clip_level)
  if isinstance(clip_level, tuple) and len(clip_level) == 2:
    low, high = (_numbers(level, shape) for level in clip_level)
  else:
    high = np.repeat(_numbers(clip_level, shape[:1])[:, None], shape[1], axis=1)
    low = -high
  # With an offset both may lie on one side of zero.
  if not np.all(low < high):
    text = " ".join(str(clip_level).split())
    raise UserError(f"{name} {text}: give one above 0, or low < high")
  return Rails(low, high, marks)


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
  is_rounded = (peak > level) & (peak <= level * (1.0 + FLOAT32_ROUNDING))
  return np.where(is_plateau & (is_below | is_rounded), peak, level)


def clip_signs(audio: np.ndarray, rails: Rails) -> np.ndarray:
  """Marks the clipped samples: those at a rail, to rounding, or beyond.

  Returns:
    int8 of the audio's shape: 1 above, -1 below, 0 reliable.
  """
  if rails.marks is not None:
    return rails.marks
  rounding = _ROUNDING[audio.dtype]
  above = audio >= _times(rails.high, rounding)[:, None]
  below = audio <= -_times(-rails.low, rounding)[:, None]
  return above.astype(np.int8) - below.astype(np.int8)


def _times(rail: np.ndarray, rounding: float) -> np.ndarray:
  """Lowers rails by their rounding; an offset may make upper ones negative."""
  return rail * np.where(rail < 0, 1 + rounding, 1 - rounding)


def bounds(
  audio: np.ndarray, rails: Rails, signs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the least and the largest value that each sample can have had.

  A reliable sample has its own; a clipped one lies at the rail or beyond, which
  is its own value where the rail is not of one.
  """
  low, high = (side[:, None] for side in rails[:2])
  if rails.marks is not None:
    low = high = audio
  sides = [signs > 0, signs < 0]
  return (
    np.select(sides, [high, -np.inf], audio),
    np.select(sides, [np.inf, low], audio),
  )


def farther_rails(rails: Rails) -> np.ndarray:
  """Returns the farther rail of each channel, `[batch, channels]`; 1 if none.

  Thresholds in units of it make a declipper's result scale with its input.
  """
  farther = np.max(
    [np.where(np.isinf(x), 0.0, abs(x)) for x in rails[:2]], axis=0
  )
  return np.where(farther > 0.0, farther, 1.0)
