"""The options of a run's effect: parsing, checking and naming them.

`config.data.effect` has a field for every option of any effect (None: the
effect's default) and two lists of tone filters, `before` and `after`. Together

    {"colour": 20.0, "oversample": 4,
     "before": (("low_shelf", 200.0, -6.0),), "after": (("low_pass", 4000.0),)}

is a pedal. Nothing is drawn here: all examples of a run share their options.
"""

import dataclasses
import hashlib
import inspect
import math
from typing import Any, NamedTuple

from distortion_removal import effects
from distortion_removal.common.errors import UserError
from distortion_removal.effects import Option

_FIELD = "config.data.effect"
# `tone.equalise` is exact down to this corner divided by Q and sample rate;
# slower filters ring longer than the silence that it appends.
_SLOWEST_DECAY = 0.0005
_MAX_GAIN_DB = 60.0


class Filter(NamedTuple):
  """A tone filter, see `tone.Section`, its corner in Hz."""

  kind: str
  corner_hz: float
  gain_db: float = 0.0
  q: float = 0.7071


@dataclasses.dataclass(frozen=True)
class EffectOptions:
  """The options of an effect that differ from its defaults.

  Attributes:
    values: names and values, in the order of `Effect.options`.
    before: tone filters of the clean audio.
    after: tone filters of the distorted audio.
  """

  values: tuple[tuple[str, Any], ...] = ()
  before: tuple[Filter, ...] = ()
  after: tuple[Filter, ...] = ()

  @property
  def suffix(self) -> str:
    """A name for these options in the names of files and folders."""
    parts = [f"{name}{_text(value, '-')}" for name, value in self.values]
    if self.before or self.after:
      digest = hashlib.sha256(repr((self.before, self.after)).encode())
      parts.append(f"tone{digest.hexdigest()[:8]}")
    return "_".join(parts)

  @property
  def label(self) -> str:
    """A description in words, in the order of the signal."""
    parts = [f"{_filter_label(each)} before" for each in self.before]
    parts += [f"{name} {_text(value, '/')}" for name, value in self.values]
    parts += [f"{_filter_label(each)} after" for each in self.after]
    return ", ".join(parts)


NO_OPTIONS = EffectOptions()


def parse_options(data: Any, effect_name: str) -> EffectOptions:
  """Reads the options in a run's `config.data` that are not the defaults.

  Raises:
    UserError: the effect lacks an option, or a value cannot work.
  """
  given = {name: x for name, x in dict(data.effect).items() if x is not None}
  before, after = (
    tuple(_parse_filter(name, x, data.sample_rate) for x in given.pop(name, ()))
    for name in ("before", "after")
  )
  if not given and not before and not after:
    return NO_OPTIONS
  if effect_name == "recorded":
    raise UserError(
      f"{_FIELD}: recorded pairs have their degraded audio already; leave it "
      "out, or choose another config.data.task"
    )
  if effect_name == "hard_clip_sdr" and (before or after):
    raise UserError(
      f"{_FIELD}: tone filters would change the input SDR, which is the level "
      "of hard_clip_sdr; leave them out, or choose config.data.task 'hard_clip'"
    )
  return EffectOptions(_parse_settings(given, effect_name), before, after)


def _parse_settings(
  given: dict[str, Any], effect_name: str
) -> tuple[tuple[str, Any], ...]:
  effect = effects.get(effect_name)
  known = {option.name: option for option in effect.options}
  choice = f"only {', '.join(known)}" if known else "none"
  for name in given:
    if name not in known:
      raise _error(
        name,
        f"{effect_name} has no such option, {choice}; unset it, in a config of "
        "your own if this one sets it",
      )
  parameters = inspect.signature(effect.apply).parameters if given else {}
  values = [(x, _parse_value(known[x], given[x])) for x in known if x in given]
  return tuple(
    (name, value) for name, value in values if value != parameters[name].default
  )


def _parse_value(option: Option, value: Any) -> Any:
  numbers = value if option.count > 1 else (value,)
  if (
    not isinstance(numbers, list | tuple)
    or len(numbers) != option.count
    or not all(_is_number(x) and option.allows(x) for x in numbers)
  ):
    raise _error(option.name, f"{value!r}; it must be {option.allowed}")
  parsed = tuple(map(option.type, numbers))
  return parsed if option.count > 1 else parsed[0]


def _parse_filter(field: str, item: Any, sample_rate: int) -> Filter:
  """Parses one item of `before` or `after`."""
  if (
    not isinstance(item, list | tuple)
    or not 2 <= len(item) <= 4
    or not all(map(_is_number, item[1:]))
  ):
    raise _error(
      field,
      f"{item!r} is no tone filter; give (kind, corner in Hz, gain in dB, Q), "
      "such as ('low_shelf', 200.0, -6.0, 0.7071)",
    )
  parsed = Filter(item[0], *map(float, item[1:]))
  reason = _refusal(parsed, sample_rate)
  if reason:
    raise _error(field, reason)
  return parsed


def _refusal(tone_filter: Filter, sample_rate: int) -> str | None:
  """Says why a tone filter cannot work, if it cannot."""
  from distortion_removal.effects.tone import KINDS

  kind, corner_hz, gain_db, q = tone_filter
  if kind not in KINDS:
    return f"{kind!r}: choose from {', '.join(KINDS)}"
  if not 0 < corner_hz < sample_rate / 2:
    return (
      f"{kind} at {corner_hz:g} Hz; the corner must lie between 0 and half of "
      f"config.data.sample_rate, {sample_rate / 2:g} Hz"
    )
  if q <= 0:
    return f"{kind} of Q {q:g}; it must be above 0"
  if abs(gain_db) > _MAX_GAIN_DB:
    return f"{kind} by {gain_db:g} dB; at most {_MAX_GAIN_DB:g} either way"
  if gain_db and kind.endswith("_pass"):
    return f"a {kind} has no gain; give 0, or a shelf"
  # Below a Q of 0.5 the two poles part, and gains move them: the slower one
  # decays like a filter of this Q.
  slowness = max(q, 0.5 / q) * 10 ** (abs(gain_db) / 40)
  lowest_hz = _SLOWEST_DECAY * sample_rate * slowness
  if corner_hz < lowest_hz:
    return (
      f"{kind} at {corner_hz:g} Hz rings too long; give at least "
      f"{lowest_hz:.4g} Hz for this gain and Q"
    )
  return None


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and math.isfinite(value)


def _error(field: str, message: str) -> UserError:
  return UserError(f"{_FIELD}.{field}: {message}")


def _text(value: Any, separator: str) -> str:
  """Writes a value exactly, whole numbers without a point."""
  if isinstance(value, tuple):
    return separator.join(_text(each, separator) for each in value)
  return str(value).removesuffix(".0")


def _filter_label(each: Filter) -> str:
  text = f"{each.kind.replace('_', ' ')} at {each.corner_hz:g} Hz"
  if not each.kind.endswith("_pass"):
    text += f" by {each.gain_db:g} dB"
  if each.q != Filter._field_defaults["q"]:
    text += f" of Q {each.q:g}"
  return text
