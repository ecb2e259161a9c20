"""How a run sets its effect, beside the level: options and tone filters.

`config.data.effect` has a field for every option of any effect; None is the
effect's own value. `before` and `after` are tone filters, so that together

    {"colour": 20.0, "oversample": 4,
     "before": (("low_shelf", 200.0, -6.0),), "after": (("low_pass", 4000.0),)}

is a pedal. Nothing here is drawn: all examples of a run have the same.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from distortion_removal import effects
from distortion_removal.common.errors import UserError

FIELD = "config.data.effect"
# How slowly a filter may decay for `tone.equalise` to be exact: its corner
# divided by Q and by the sample rate.
_SLOWEST_DECAY = 0.0005
_MOST_GAIN_DB = 60.0


class Filter(NamedTuple):
  """A tone filter, see `tone.Section`, its corner in Hz."""

  kind: str
  corner_hz: float
  gain_db: float = 0.0
  q: float = 0.7071


@dataclasses.dataclass(frozen=True)
class EffectOptions:
  """What differs from the effect as it is; the defaults are nothing.

  Attributes:
    colour: of `overdrive`.
    rail: of `hard_clip`.
    rails: of `diode`, above and below zero.
    knees: of `diode`, above and below zero.
    hold: of `bit_crush`, in samples.
    oversample: of all that have a curve, see `effects.oversampling`.
    before: tone filters that the clean audio goes through first.
    after: tone filters that the distorted audio goes through.
  """

  colour: float | None = None
  rail: float | None = None
  rails: tuple[float, float] | None = None
  knees: tuple[float, float] | None = None
  hold: int | None = None
  oversample: int | None = None
  before: tuple[Filter, ...] = ()
  after: tuple[Filter, ...] = ()

  @property
  def settings(self) -> dict[str, Any]:
    """The options that are set, as the effect's function takes them."""
    fields = vars(self).items()
    return {
      name: value
      for name, value in fields
      if value is not None and name not in ("before", "after")
    }

  @property
  def suffix(self) -> str:
    """Tells these options apart in the names of files and folders."""
    parts = [f"{name}{_text(x, '-')}" for name, x in self.settings.items()]
    if self.before or self.after:
      digest = hashlib.sha256(repr((self.before, self.after)).encode())
      parts.append(f"tone{digest.hexdigest()[:8]}")
    return "_".join(parts)

  @property
  def label(self) -> str:
    """The options for people, in the order of the signal."""
    parts = [f"{_describe(each)} before" for each in self.before]
    parts += [f"{name} {_text(x, '/')}" for name, x in self.settings.items()]
    parts += [f"{_describe(each)} after" for each in self.after]
    return ", ".join(parts)


NONE = EffectOptions()


def from_config(data: Any, effect_name: str) -> EffectOptions:
  """The options of `config.data`; none if that is of an older version.

  Args:
    data: `config.data` of a run.
    effect_name: of the run's task.

  Returns:
    Only what differs: an option that is set to the effect's own value is None.

  Raises:
    UserError: the effect does not have an option, or it cannot work.
  """
  given = {
    name: value
    for name, value in dict(data.get("effect", {})).items()
    if value is not None
  }
  known = [field.name for field in dataclasses.fields(EffectOptions)]
  for name in given:
    _require(name in known, name, f"unknown; choose from {', '.join(known)}")
  filters = {
    name: tuple(
      _filter(name, item, data.sample_rate) for item in given.pop(name, ())
    )
    for name in ("before", "after")
  }
  if given or any(filters.values()):
    given = _checked(given, effect_name, any(filters.values()))
  return EffectOptions(**given, **filters)


def _checked(
  given: dict[str, Any], effect_name: str, is_filtered: bool
) -> dict[str, Any]:
  """The options that differ from the effect's own, checked."""

  if effect_name == "recorded":
    raise UserError(
      f"{FIELD}: recorded pairs have their degraded audio already; leave it "
      "out, or choose another config.data.task"
    )
  if is_filtered and effect_name == "hard_clip_sdr":
    raise UserError(
      f"{FIELD}: tone filters would change the input SDR, which is the level "
      "of hard_clip_sdr; leave them out, or choose config.data.task 'hard_clip'"
    )
  own = effects.get(effect_name).options
  for name in given:
    known = f"only {', '.join(own)}" if own else "none"
    _require(
      name in own,
      name,
      f"{effect_name} has no such option, {known}; unset it, in a config of "
      "your own if this one sets it",
    )
  values = {name: _value(name, value) for name, value in given.items()}
  return {name: value for name, value in values.items() if value != own[name]}


def _filter(name: str, item: Any, sample_rate: int) -> Filter:
  """One item of `before` or `after`, checked."""
  from distortion_removal.effects.tone import KINDS

  form = (
    f"{item!r} is no tone filter; give (kind, corner in Hz, gain in dB, Q), "
    "such as ('low_shelf', 200.0, -6.0, 0.7071)"
  )
  _require(isinstance(item, list | tuple) and 2 <= len(item) <= 4, name, form)
  kind, *numbers = item
  _require(all(map(_is_number, numbers)), name, form)
  found = Filter(kind, *map(float, numbers))
  _require(kind in KINDS, name, f"{kind!r}: choose from {', '.join(KINDS)}")
  _require(
    0 < found.corner_hz < sample_rate / 2,
    name,
    f"{kind} at {found.corner_hz:g} Hz; the corner must lie between 0 and half "
    f"of config.data.sample_rate, {sample_rate / 2:g} Hz",
  )
  _require(found.q > 0, name, f"{kind} of Q {found.q:g}; it must be above 0")
  _require(
    abs(found.gain_db) <= _MOST_GAIN_DB,
    name,
    f"{kind} by {found.gain_db:g} dB; at most {_MOST_GAIN_DB:g} either way",
  )
  lowest = _SLOWEST_DECAY * sample_rate * _decay(found)
  _require(
    found.corner_hz >= lowest,
    name,
    f"{kind} at {found.corner_hz:g} Hz rings too long; give at least "
    f"{lowest:.4g} Hz for this gain and Q",
  )
  _require(
    found.gain_db == 0 or not kind.endswith("_pass"),
    name,
    f"a {kind} has no gain; give 0, or a shelf",
  )
  return found


def _decay(each: Filter) -> float:
  """Q, or what is as slow: below 0.5 two poles part, and gains move them."""
  return max(each.q, 0.5 / each.q) * 10 ** (abs(each.gain_db) / 40)


class _Rule(NamedTuple):
  """What an option has to be."""

  holds: Callable[[float], bool]
  wanted: str
  type: Callable[[float], float] = float
  count: int = 1


_RULES = {
  "colour": _Rule(lambda x: 0 <= x <= 100, "between 0 and 100"),
  "rail": _Rule(lambda x: x > 0, "a number above 0"),
  "rails": _Rule(lambda x: x > 0, "two numbers above 0", count=2),
  "knees": _Rule(lambda x: x >= 1, "two numbers from 1", count=2),
  "hold": _Rule(lambda x: x >= 1 and x % 1 == 0, "a whole number from 1", int),
  "oversample": _Rule(lambda x: x in (1, 2, 4, 8), "1, 2, 4 or 8", int),
}


def _value(name: str, value: Any) -> Any:
  """An option, checked."""
  rule = _RULES[name]
  numbers = value if rule.count > 1 else (value,)
  fits = (
    isinstance(numbers, list | tuple)
    and len(numbers) == rule.count
    and all(_is_number(x) and rule.holds(x) for x in numbers)
  )
  _require(fits, name, f"{value!r}; it must be {rule.wanted}")
  found = tuple(map(rule.type, numbers))
  return found if rule.count > 1 else found[0]


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and math.isfinite(value)


def _require(holds: bool, name: str, message: str) -> None:
  if not holds:
    raise UserError(f"{FIELD}.{name}: {message}")


def _text(value: Any, joint: str) -> str:
  """A value, whole numbers without a point; exact."""
  if isinstance(value, tuple):
    return joint.join(_text(each, joint) for each in value)
  return str(value).removesuffix(".0")


def _describe(each: Filter) -> str:
  """A tone filter for people."""
  text = f"{each.kind.replace('_', ' ')} at {each.corner_hz:g} Hz"
  if not each.kind.endswith("_pass"):
    text += f" by {each.gain_db:g} dB"
  if each.q != Filter._field_defaults["q"]:
    text += f" of Q {each.q:g}"
  return text
