"""What the browser asks for, checked: names that are known, and numbers."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from distortion_removal.common.errors import UserError, look_up
from distortion_removal.inference.automatic import (
  DECLIPPER,
  INVERSION,
  PRESETS,
)
from distortion_removal.training import shipped

AUTOMATIC, DECLIP = "auto", "declip"
_KEYS = {"method", "preset", "strength", "clip_level"}


class Options(NamedTuple):
  """How a recording is restored.

  Attributes:
    arguments: the method, for `restore.restore_recording`.
    strength: how much of the change is made, from 0 to 1.
    shown: both as the browser has asked for them.
  """

  arguments: Mapping[str, Any]
  strength: float
  shown: Mapping[str, Any]

  @property
  def is_automatic(self) -> bool:
    """Tells whether the method is chosen by what is found."""
    return self.arguments.keys() == {"preset"}


def methods() -> list[str]:
  """Returns the names of all methods, networks by theirs."""
  return [AUTOMATIC, DECLIP, INVERSION, *shipped.names()]


def parse(text: bytes) -> Options:
  """Reads `{"method": …, "preset": …, "strength": 0 … 100}`.

  A "clip_level" may be with them: an amplitude; None: as it is found.

  Raises:
    UserError: it has another form, or a name that is not known.
  """
  try:
    asked = json.loads(text)
    method, preset = asked["method"], asked.get("preset", DECLIPPER)
    strength = float(asked.get("strength", 100)) / 100.0
    level = asked.get("clip_level")
    level = None if level is None else float(level)
    is_known = asked.keys() <= _KEYS and all(
      isinstance(name, str) for name in (method, preset)
    )
  except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
    is_known = False
  if not is_known or not 0.0 <= strength <= 1.0:
    raise UserError(
      "ask for a method, a preset, a strength from 0 to 100 and a clip level, "
      "and no more"
    )
  look_up(dict.fromkeys(methods()), "method", method)
  look_up(dict.fromkeys(PRESETS), "preset", preset)
  arguments = {
    AUTOMATIC: {"preset": preset},
    DECLIP: {"method": preset},
    INVERSION: {"method": INVERSION},
  }.get(method) or {"model": method}
  if level is not None and method in (AUTOMATIC, DECLIP):
    arguments |= {"clip_level": level}
  shown = {"method": method, "preset": preset, "strength": 100.0 * strength}
  return Options(arguments, strength, shown)
