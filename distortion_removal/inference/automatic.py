"""Chooses how to restore a recording, by what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from distortion_removal.inference import blind
from distortion_removal.inference.clipping import Survey, survey
from distortion_removal.inference.soft_clipping import FIND

INVERSION = "inversion"
# Declippers by the time that they take; the last is the usual one.
PRESETS = ("fast", "normal", "best")
DECLIPPER = "best"
# A network that comes along, ahead of `best` on recordings of its own rate.
HYBRID, HYBRID_RATE = "hybrid-hard-clip-16k", 16_000


class Plan(NamedTuple):
  """What a recording calls for.

  Attributes:
    method: name of a declipper, "inversion" or `HYBRID`.
    reason: why, for people.
    found: the effects of the channels, for "inversion".
    clipping: of the recording, for a declipper or `HYBRID`.
  """

  method: str
  reason: str
  found: Sequence[blind.Found | None] = ()
  clipping: Survey | None = None


def choose(
  source: Path,
  declipper: str | None = None,
  found: Sequence[blind.Found | None] | None = None,
) -> Plan:
  """Looks for an overdrive that can be undone exactly, then for clipping.

  A recording that is not hard-clipped, but with strong evidence softly, is
  restored beyond its knees. Where there is nothing, the method is the
  declipper, which then leaves the recording as it is.

  Args:
    source: the recording.
    declipper: the method where it is no overdrive; None: `HYBRID` for rails of
      one level at its rate, else `DECLIPPER`.
    found: what `blind.find` has found of an overdrive; None: it is looked for.
  """
  choice = blind.OVERDRIVE
  found = blind.find(source, choice) if found is None else found
  if any(choice.chosen(found)):
    return Plan(INVERSION, blind.describe(found, choice), found)
  clipping = survey(source)
  if clipping.soft and not clipping.count:
    clipping = survey(source, knee=FIND)
  if not clipping.count:
    reason = "neither an overdrive nor clipping is found"
    return Plan(declipper or DECLIPPER, reason, clipping=clipping)
  if declipper is None:
    has_its_rate = clipping.sample_rate == HYBRID_RATE
    is_for_network = has_its_rate and not clipping.is_marked
    declipper = HYBRID if is_for_network else DECLIPPER
  return Plan(declipper, clipping.levels, clipping=clipping)
