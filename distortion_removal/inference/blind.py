"""Finds the effect on a recording, and its settings, from the recording alone.

They are found on the loudest ten seconds of the loudest channel; others share
them if they are certain there, too, or get their own. A recording that was
resampled since is looked at once more at the rate it had.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import scipy.signal

from distortion_removal.audio import files, resampling
from distortion_removal.audio.chunks import of_length
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inversion import settings
from distortion_removal.inversion.estimate import (
  LONGEST_SECONDS,
  Estimate,
  estimate,
)

AUTO = "auto"
_USUAL_RATES = 16_000, 22_050, 32_000, 44_100, 48_000
_BINS = 1024
_EMPTY = 1e-2  # above the former band, relative to the power in it


class Choice(NamedTuple):
  """An effect and what is known of its settings.

  Attributes:
    effect: name in `FAMILY`, or "auto": the likeliest of them.
    known: the settings that are given, see `estimate`.
  """

  effect: str = AUTO
  known: Mapping[str, float] = MappingProxyType({})

  @classmethod
  def parse(cls, text: str) -> "Choice":
    """Reads "overdrive:gain=35,colour=20"; raises UserError."""
    name, _, rest = text.partition(":")
    if name != AUTO:
      look_up(FAMILY, "effect", name)
    known = {}
    for word in filter(None, rest.split(",")):
      key, _, value = word.partition("=")
      try:
        number = float(value)
        known |= {
          "gain": {"gain_db": number},
          "scale": {"scale": number},
          "colour": {"shift": settings.shift(number)},
        }[key]
      except (KeyError, ValueError):
        raise UserError(
          f"{word!r}: say gain=DB, colour=0...100 or scale=FACTOR, such as "
          "overdrive:gain=35,colour=20"
        ) from None
    if name == AUTO and known:
      raise UserError(f"{text!r}: settings are of an effect; name it")
    if known.get("scale", 1.0) <= 0 or not np.isfinite([*known.values()]).all():
      raise UserError(f"{text!r}: a scale is above 0, and all are finite")
    return cls(name, known)

  def takes(self, found: Estimate) -> bool:
    """Tells whether an effect is to be undone that was found.

    With settings that the user gives it is; a soft clip that the user names,
    if it is likelier than none; and others if they are certain.
    """
    is_named = self.effect in FAMILY and self.effect != "overdrive"
    likely = found.is_likelier if is_named else found.is_certain
    return bool(self.known) or likely

  def chosen(self, found: Sequence["Found | None"]) -> list["Found | None"]:
    """Returns the channels' effects that are to be undone, None for others."""
    return [one if one and self.takes(one.estimate) else None for one in found]


ANY, OVERDRIVE = Choice(), Choice("overdrive")


class Found(NamedTuple):
  """The effect of a channel.

  Attributes:
    effect: name in `FAMILY`.
    estimate: of its settings.
    parameters: the settings to undo it with.
    sample_rate: in Hz, at which it was applied, to all appearance.
  """

  effect: str
  estimate: Estimate
  parameters: Parameters
  sample_rate: int

  @property
  def expected_si_sdr_db(self) -> float | None:
    """The SI-SDR that the result should have, in dB; None: not known."""
    seen = self.estimate.evidence
    return seen.si_sdr_db if seen else None

  def as_json(self) -> dict[str, Any]:
    """Returns what was found in units of people, for a JSON file."""
    return {
      "effect": self.effect,
      "gain_db": self.estimate.gain_db,
      "scale": self.parameters.scale,
      "colour": settings.colour(self.parameters),
      "offset": self.parameters.offset,
      "sharpness": self.estimate.sharpness,
      "likelihood_gain": self.estimate.likelihood_gain,
      "is_certain": self.estimate.is_certain,
      "expected_si_sdr_db": self.expected_si_sdr_db,
    }


def find(source: Path, choice: Choice = ANY) -> list[Found | None]:
  """Finds the effect of each channel of a file; None: too little sound.

  Args:
    source: the recording.
    choice: what to look for.
  """
  rate = files.info(source).sample_rate
  part, first = _loudest_part(source, round(LONGEST_SECONDS * rate))
  step = settings.step_of(part)
  found = _find_each(part, rate, choice, is_start=first == 0, step=step)
  is_open = any(found) and not choice.known and not any(choice.chosen(found))
  former = former_rate(part, rate) if is_open else None
  if former:
    part = resampling.resample(part, rate, former)
    again = _find_each(part, former, choice, is_start=first == 0, step=step)
    if any(choice.chosen(again)):
      return again
  return found


def _find_each(
  part: np.ndarray, rate: int, choice: Choice, *, is_start: bool, step: float
) -> list[Found | None]:
  """Finds the effect of each channel of a part `[time, channels]`."""
  found: list[Found | None] = [None] * part.shape[1]
  for k in np.argsort(-np.square(part).sum(axis=0)):
    among = [one for one in found if one and one.estimate.is_certain]
    found[k] = _same_as(among, part[:, k], rate, is_start) or find_in(
      part[:, k], rate, choice, is_start=is_start, step=step
    )
  return found


def former_rate(audio: np.ndarray, sample_rate: int) -> int | None:
  """Returns the usual rate that a recording had before it was resampled.

  An overdrive fills its band up to half its rate. A recording that has next to
  nothing from there on was resampled, or encoded, afterwards.

  Args:
    audio: `[time, channels]`.
    sample_rate: in Hz.
  """
  if len(audio) < _BINS:
    return None
  frequencies, powers = scipy.signal.welch(
    audio, sample_rate, nperseg=_BINS, axis=0
  )
  powers = powers.sum(axis=1)
  for rate in _USUAL_RATES:
    is_above = frequencies > 0.53 * rate
    if rate < sample_rate and is_above.any():
      below = powers[(frequencies > 0.4 * rate) & (frequencies < 0.45 * rate)]
      if powers[is_above].max() < _EMPTY * np.median(below):
        return rate
  return None


def _same_as(
  others: Sequence[Found], audio: np.ndarray, rate: int, is_start: bool
) -> Found | None:
  """Returns the first of other channels' effects that is certain for this."""
  for other in others:
    known = {
      "gain_db": other.estimate.gain_db,
      "scale": other.parameters.scale,
      "shift": other.estimate.parameters.shift,
    }
    result = estimate(
      FAMILY[other.effect], audio, rate, is_start=is_start, known=known
    )
    if result and result.is_certain:
      return other
  return None


def find_in(
  audio: np.ndarray,
  sample_rate: int,
  choice: Choice,
  *,
  is_start: bool = True,
  step: float | None = None,
) -> Found | None:
  """Finds the effect of audio `[time]`; arguments: see `estimate`."""
  names = FAMILY if choice.effect == AUTO else (choice.effect,)
  step = settings.step_of(audio) if step is None else step
  best = None
  for name in names:
    result = estimate(
      FAMILY[name],
      audio,
      sample_rate,
      is_start=is_start,
      known=choice.known,
      step=step,
    )
    if result and (not best or result.criterion < best.estimate.criterion):
      parameters = result.parameters
      if "shift" not in choice.known:
        parameters = settings.with_usual_colour(FAMILY[name], parameters, step)
      best = Found(name, result, parameters, sample_rate)
    # The search of one effect takes seconds: what is certain is not doubted.
    if best and best.estimate.is_certain:
      break
  return best


def describe(found: Sequence[Found | None], choice: Choice) -> str:
  """Returns a line on the effects that were found."""
  texts = [_describe(one, choice) for one in found]
  if len(set(texts)) == 1:
    return texts[0]
  return "; ".join(f"{text} (channel {k})" for k, text in enumerate(texts, 1))


def _describe(found: Found | None, choice: Choice) -> str:
  if not found:
    return "too little sound"
  estimate_, parameters = found.estimate, found.parameters
  if not choice.takes(estimate_):
    return f"no effect is certain ({found.effect} is the likeliest)"
  doubt = "" if estimate_.is_certain else " (not certain)"
  gain = (
    f"gain {estimate_.gain_db:.2f} dB, " if FAMILY[found.effect].dry else ""
  )
  colour = ""
  if found.effect == "overdrive":
    colour = f", colour {settings.colour(parameters):.3g}"
  quality = ""
  if found.expected_si_sdr_db is not None:
    quality = f", about {found.expected_si_sdr_db:.0f} dB SI-SDR expected"
  scale = f"scale {parameters.scale:.5g}"
  return f"{found.effect}: {gain}{scale}{colour}{doubt}{quality}"


def _loudest_part(source: Path, length: int) -> tuple[np.ndarray, int]:
  """Returns the loudest part of a file `[time, channels]`, and its start.

  A file that is not longer is it; of others, half of a part and the next half
  are compared, so that a file's length does not matter.
  """
  half = length // 2
  best, start, first, most = None, 0, 0, -1.0
  with files.open_reader(source) as reader:
    last = None
    for block in of_length(reader.blocks(dtype="float64"), half):
      part = block if last is None else np.concatenate([last, block])
      energy = np.square(part).sum()
      if energy > most:
        best, start, most = part, max(0, first - half), energy
      last, first = block, first + len(block)
  return best, start
