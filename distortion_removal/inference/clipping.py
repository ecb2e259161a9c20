"""Surveys a recording for clipping, and says what it found."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distortion_removal.audio import files
from distortion_removal.common.log import logger
from distortion_removal.declipping.clip_level import (
  Rails,
  clip_signs,
  rails_of,
  resolve_rails,
)
from distortion_removal.declipping.knees import knee_signs
from distortion_removal.declipping.plateaus import (
  Plateaus,
  Read,
  Track,
  find_plateaus,
)
from distortion_removal.inference.soft_clipping import (
  Knee,
  check_knee,
  knee_and_note,
  levels_of,
)

# A level that is so far below the peak is not merely a rounded one.
_CLEARLY = 1.001
_MOST_SPANS = 3  # that are named one by one


class Survey(NamedTuple):
  """The clipping of a recording, from a first reading."""

  rails: Rails  # [1, channels], without marks
  count: int  # of clipped samples of all channels
  peak: float
  sample_rate: int
  plateaus: Plateaus | None  # None with a given level
  knee: Rails | None = None  # [1, channels]; None: none asked for, or found
  note: str = ""  # on soft clipping that is left as it is
  soft: Rails | None = None  # [1, channels], of that soft clipping

  @property
  def levels(self) -> str:
    """The rails of all channels, and the knees, for people."""
    texts = [self._channel(k) for k in range(self.rails.low.shape[1])]
    rails = "; ".join(
      f"{text or 'no level'} (channel {k})" for k, text in enumerate(texts, 1)
    )
    if len(set(texts)) == 1:
      rails = texts[0]
    text = f"clipped at {rails}" if rails else ""
    if not self.knee:
      return text
    knees = levels_of(self.knee.low[0], self.knee.high[0])
    return f"{text}{', and ' if text else ''}softly clipped beyond {knees}"

  def levels_of(self, channel: int, sign: int) -> list[float]:
    """Returns the levels of one polarity of a channel, usual ones if blurred.

    Args:
      channel: from 0 on.
      sign: 1 for the upper side, -1 for the lower one.
    """
    side = self.rails.high if sign > 0 else self.rails.low
    if not self.plateaus:
      return [float(x) for x in side[:, channel] if np.isfinite(x)]
    exact = sign * self.plateaus.rails[int(sign < 0), channel]
    return [float(exact)] * bool(np.isfinite(exact)) + [
      float(_usual_level(self.plateaus, track))
      for track in self.plateaus.tracks
      if (track.channel, track.sign) == (channel, sign)
    ]

  @property
  def is_marked(self) -> bool:
    """True where each clipped sample is a rail of its own."""
    return bool(self.knee or (self.plateaus and self.plateaus.tracks))

  @property
  def doubts(self) -> str:
    """Text on flat tops that may be natural, and are left as they are."""
    if not self.plateaus or not self.plateaus.doubtful:
      return ""
    texts = [
      f"{_level(self.plateaus, x)} in channel {x.channel + 1}"
      for x in self.plateaus.doubtful
    ]
    return f"some tops are flat near {', '.join(texts)}, which may be natural"

  def as_json(self, samples: int) -> dict[str, Any]:
    """Returns what was found among the `samples` of all channels, for JSON."""
    channels = range(self.rails.low.shape[1])
    return {
      "clipped_samples": int(self.count),
      "clipped_share": self.count / samples,
      "low": [self.levels_of(k, -1) for k in channels],
      "high": [self.levels_of(k, 1) for k in channels],
      "peak": self.peak,
      "summary": self.levels or "nothing is clipped",
      "doubts": self.doubts,
      "soft": self.note,
    }

  def _channel(self, channel: int) -> str:
    if not self.plateaus:
      pair = self.rails.low[0, channel], self.rails.high[0, channel]
      return " and ".join(f"{x:.6g}" for x in pair if np.isfinite(x))
    texts = []
    for sign in (-1, 1):
      level = sign * self.plateaus.rails[int(sign < 0), channel]
      if np.isfinite(level):
        texts.append(f"{level:.6g}")
      texts += [
        self._track(track)
        for track in self.plateaus.tracks
        if (track.channel, track.sign) == (channel, sign)
      ]
    corner_hz = self.plateaus.decay[channel] * self.sample_rate / (2 * np.pi)
    if corner_hz and texts:
      texts[-1] += f" before a high-pass of {corner_hz:.2g} Hz"
    return " and ".join(texts)

  def _track(self, track: Track) -> str:
    """Describes a rail that noise has blurred, or that moves."""
    spans = track.spans()
    if len(spans) > _MOST_SPANS:
      text = f"{_range(self.plateaus, track)} in {len(spans)} places"
    else:
      text = ", then ".join(self._span(track, span) for span in spans)
    text += f" (by {np.sum(track.tops):.0f} flat tops"
    beyond = _beyond(self.plateaus, track)
    return text + (f"; peaks up to {beyond:.3g} are left)" if beyond else ")")

  def _span(self, track: Track, span: slice) -> str:
    if track.is_constant:
      return f"about {_level(self.plateaus, track)}"
    part = track._replace(level=track.level[span], tops=track.tops[span])
    start, stop = track.time[span][[0, -1]] / self.sample_rate
    text = _range(self.plateaus, part, np.max(track.width[span]))
    return f"{text} between {clock(start)} and {clock(stop)}"


def _level(plateaus: Plateaus, track: Track) -> str:
  return f"{_usual_level(plateaus, track):.3g}"


def _usual_level(plateaus: Plateaus, track: Track) -> float:
  """Returns the usual level; with the offset, which AC coupling takes away."""
  level = np.average(track.level, weights=track.tops)
  return track.sign * level + _centre(plateaus, track)


def _centre(plateaus: Plateaus, track: Track) -> float:
  if plateaus.decay[track.channel]:
    return 0.0
  return plateaus.extremes.centre[0, track.channel]


def _range(plateaus: Plateaus, track: Track, width: float = 0.0) -> str:
  """Returns the least and the largest level."""
  if np.ptp(track.level) <= 2 * width:
    return f"about {_level(plateaus, track)}"
  ends = track.sign * track.level[[track.level.argmin(), track.level.argmax()]]
  low, high = ends + _centre(plateaus, track)
  return f"{low:.3g} to {high:.3g}"


def _beyond(plateaus: Plateaus, track: Track) -> float:
  """Returns the extreme that lies clearly beyond a rail, or 0."""
  side = int(track.sign < 0)
  peak = plateaus.extremes.peak[side, track.channel]
  height = peak - plateaus.extremes.centre[side, track.channel]
  is_beyond = height > np.max(track.level + 4 * track.width) * _CLEARLY
  is_beyond &= not plateaus.decay[track.channel]
  is_beyond &= np.isinf(plateaus.rails[side, track.channel])
  return track.sign * peak if is_beyond else 0.0


def clock(seconds: float) -> str:
  """Returns minutes, seconds and tenths."""
  return f"{seconds // 60:.0f}:{seconds % 60:04.1f}"


def survey(
  source: Path,
  clip_level: float | tuple[float, float] | None = None,
  knee: Knee | None = None,
) -> Survey:
  """Reads a whole recording to find where it is clipped.

  A damaged file is refused here, before any work. A given level that lies
  clearly below the peak causes a warning.

  Args:
    source: the recording.
    clip_level: level of both rails, or (low, high); None: found.
    knee: samples beyond are taken as softly clipped, see `knee_and_note`.
  """
  check_knee(knee, clip_level)
  read = functools.partial(read_blocks, source)
  plateaus, soft = None, ()
  if clip_level is None:
    plateaus = find_plateaus(read)
    rails = rails_of(plateaus)
    soft = knee_and_note(read, plateaus, knee)
  else:
    rails = _given(source, read, clip_level)
  found = Survey(rails, 0, 0.0, files.info(source).sample_rate, plateaus, *soft)
  if found.knee:
    found = _with_knee(found)
  count, peak = 0, 0.0
  for block, signs in marked_blocks(read(), found):
    count += np.count_nonzero(signs)
    peak = max(peak, float(np.abs(block).max()))
  return found._replace(count=count, peak=peak)


def _given(
  source: Path, read: Read, level: float | tuple[float, float]
) -> Rails:
  """Returns rails at a given level; warns if it lies below the peak."""
  extremes = _extremes(read())
  rails = resolve_rails(extremes, level)
  if np.any(
    (extremes < _CLEARLY * rails.low) | (extremes > _CLEARLY * rails.high)
  ):
    logger.warning(
      "%s: samples beyond the given level are taken as clipped at it; the "
      "peak is %.6g",
      source,
      np.abs(extremes).max(),
    )
  return rails


def _with_knee(found: Survey) -> Survey:
  """Takes a side that reaches a knee as saturated.

  Its extreme is the rail, unless there is one. What looked like a blurred rail
  was the top that saturation bends towards.
  """
  plateaus = found.plateaus
  peak = plateaus.extremes.peak
  has_knee = peak >= [found.knee.high[0], -found.knee.low[0]]
  high, low = np.where(
    has_knee & np.isinf(plateaus.rails),
    peak,
    [found.rails.high[0], -found.rails.low[0]],
  )
  tracks = tuple(
    x for x in plateaus.tracks if not has_knee[int(x.sign < 0), x.channel]
  )
  return found._replace(
    rails=Rails(-low[None], high[None]),
    plateaus=plateaus._replace(tracks=tracks),
  )


def marked_blocks(
  blocks: Iterator[np.ndarray], found: Survey
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields a recording's blocks with marks as of `clip_signs`."""
  if not found.is_marked:
    for block in blocks:
      yield block, clip_signs(block[None], found.rails)[0]
    return
  for block, signs in found.plateaus.marked(blocks):
    if found.knee:
      soft = knee_signs(block, found.knee.low, found.knee.high)
      signs = np.where(signs == 0, soft, signs)
    yield block, signs


def read_blocks(source: Path) -> Iterator[np.ndarray]:
  """Yields a file's blocks `[time, channels]` as float64."""
  with files.open_reader(source) as reader:
    yield from reader.blocks(dtype="float64")


def _extremes(blocks: Iterator[np.ndarray]) -> np.ndarray:
  """Returns each channel's two least and two largest samples.

  A given level is compared with the recording's plateaus; these samples have
  those of all. `[1, time, channels]`, time at most 4.
  """
  held = next(blocks)
  for block in blocks:
    held = np.sort(np.concatenate([held, block]), axis=0)
    if len(held) > 4:
      held = held[[0, 1, -2, -1]]
  return held[None]
