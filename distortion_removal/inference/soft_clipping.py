"""Which samples of a recording are taken as softly clipped, and what is said.

They are only when a knee is asked for: without, what looks softly clipped stays
as it is, and a line tells how to have it restored.
"""

import math

import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import Rails, given_rails
from distortion_removal.declipping.knees import Knees, find_knees
from distortion_removal.declipping.plateaus import Plateaus, Read

FIND = "find"
# An amplitude, (low, high), or FIND.
Knee = float | tuple[float, float] | str


def check_knee(
  knee: Knee | None, clip_level: float | tuple[float, float] | None
) -> None:
  """Raises UserError if a knee cannot be used, before any work."""
  if knee is None:
    return
  if clip_level is not None:
    raise UserError(
      "give a knee or a clip level, not both: what lies beyond a knee is "
      "declipped, whether it was held at a level or not"
    )
  if knee != FIND:
    given_rails(knee, (1, 1), "knee")


def knee_and_note(
  read: Read, plateaus: Plateaus, knee: Knee | None
) -> tuple[Rails | None, str, Rails | None]:
  """Returns the knee of each channel, if one is asked for; and what to say.

  Args:
    read: returns the recording's blocks.
    plateaus: its hard clipping.
    knee: as asked for.

  Returns:
    The knees `[1, channels]`, or None; a note on soft clipping that is left as
    it is, or ""; and its knees, or None.
  """
  if knee is not None and knee != FIND:
    return given_rails(knee, (1, len(plateaus.decay)), "knee"), "", None
  found = find_knees(read, plateaus)
  if knee is None:
    return None, *_hint(found)
  if np.isinf([found.low, found.high]).all():
    usual = 0.75 * plateaus.extremes.peak.max()
    return (
      None,
      "no knee was found: give one by --knee=LEVEL, such as three quarters of "
      f"the peak, {usual:.3g}",
      None,
    )
  return Rails(found.low[None], found.high[None]), "", None


def _hint(found: Knees) -> tuple[str, Rails | None]:
  """Says where a recording looks softly clipped, on strong evidence only."""
  if not found.is_strong.any():
    return "", None
  low = np.where(found.is_strong[0], found.low, -np.inf)
  high = np.where(found.is_strong[1], found.high, np.inf)
  return (
    f"it looks softly clipped or limited beyond {levels_of(low, high)}, which "
    "--knee=find, or --knee=LEVEL, restores"
  ), Rails(low[None], high[None])


def levels_of(low: np.ndarray, high: np.ndarray) -> str:
  """Names the finite levels of the channels that have one."""
  texts = [
    " and ".join(f"{x:.3g}" for x in pair if math.isfinite(x))
    for pair in zip(low, high, strict=True)
  ]
  if len(set(texts)) == 1:
    return texts[0]
  return "; ".join(
    f"{text} (channel {k})" for k, text in enumerate(texts, 1) if text
  )
