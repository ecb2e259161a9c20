"""Restores one recording by undoing its effect: `--method=inversion`.

Settings are found on the loudest ten seconds of the loudest channel; others
share them if they are certain there, too, or get their own. The file then
streams through the exact inverse. Where no effect of the kind is certain, the
result is the source.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.chunks import of_length
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.common.log import logger
from distortion_removal.effects import invertible
from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inference import output
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.levels import measure
from distortion_removal.inference.output import Outcome
from distortion_removal.inversion import settings
from distortion_removal.inversion.estimate import (
  LONGEST_SECONDS,
  Estimate,
  estimate,
)

AUTO = "auto"
_BLOCK = 1 << 16  # samples that the inverse is compiled for
_invert = jax.jit(invertible.invert, static_argnums=0)


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


ANY = Choice()


class Found(NamedTuple):
  """The effect of a channel.

  Attributes:
    effect: name in `FAMILY`.
    estimate: of its settings.
    parameters: the settings to undo it with.
  """

  effect: str
  estimate: Estimate
  parameters: Parameters

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
    }


def find(source: Path, choice: Choice = ANY) -> list[Found | None]:
  """Finds the effect of each channel of a file; None: too little sound.

  Args:
    source: the recording.
    choice: what to look for.
  """
  rate = files.info(source).sample_rate
  length = round(LONGEST_SECONDS * rate)
  part, first = _loudest_part(source, length)
  found: list[Found | None] = [None] * part.shape[1]
  for k in np.argsort(-np.square(part).sum(axis=0)):
    among = [one for one in found if one and one.estimate.is_certain]
    found[k] = _same_as(among, part[:, k], rate, first == 0) or find_in(
      part[:, k], rate, choice, is_start=first == 0
    )
  return found


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
  audio: np.ndarray, sample_rate: int, choice: Choice, *, is_start: bool = True
) -> Found | None:
  """Finds the effect of audio `[time]`; arguments: see `estimate`."""
  names = FAMILY if choice.effect == AUTO else (choice.effect,)
  step = settings.step_of(audio)
  best = None
  for name in names:
    result = estimate(
      FAMILY[name], audio, sample_rate, is_start=is_start, known=choice.known
    )
    if result and (not best or result.criterion < best.estimate.criterion):
      parameters = result.parameters
      if "shift" not in choice.known:
        parameters = settings.with_usual_colour(FAMILY[name], parameters, step)
      best = Found(name, result, parameters)
    # The search of one effect takes seconds: what is certain is not doubted.
    if best and best.estimate.is_certain:
      break
  return best


def undo(
  found: Sequence[Found | None], blocks: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
  """Yields a recording's blocks `[time, channels]` without the effect.

  Args:
    found: for each channel the effect, or None: it stays.
    blocks: the recording from where the effect began.
  """
  groups = {
    name: [k for k, one in enumerate(found) if one and one.effect == name]
    for name in {one.effect for one in found if one}
  }
  parameters, states = {}, {}
  for name, channels in groups.items():
    each = [found[k].parameters for k in channels]
    parameters[name] = Parameters(*map(np.array, zip(*each, strict=True)))
    states[name] = np.zeros(len(channels))
  with jax.enable_x64(True):
    for block in of_length(blocks, _BLOCK):
      padded = np.pad(block, ((0, _BLOCK - len(block)), (0, 0)))
      for name, channels in groups.items():
        clean, states[name] = _invert(
          FAMILY[name], padded[:, channels], parameters[name], states[name]
        )
        block[:, channels] = np.asarray(clean)[: len(block)]
      yield block


def invert_file(
  source: Path,
  target: Path,
  choice: Choice = ANY,
  *,
  found: Sequence[Found | None] = (),
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> Outcome:
  """Undoes the effect of one audio file; rate, channels and format stay.

  Args:
    source: the recording.
    target: where it goes, as in `restore_file`; as is `subtype`.
    choice: the effect, see `Choice.takes`.
    found: what `find` has found; else it is looked for.
    subtype: sample format of the target.
    dither: dithers an integer format, see `output.write`.
    finish: what of the restoration is taken.

  Returns:
    What was done, and the effect of each channel. Where none is certain, the
    result is the source, to the sample if its format can be.
  """
  info = files.info(source)
  form = {"dither": dither, "finish": finish}
  form["subtype"] = output.choose_subtype(target, info, subtype, **form)
  found = found or find(source, choice)
  line = describe(found, choice)
  effects = {"effects": [one.as_json() if one else None for one in found]}
  found = choice.chosen(found)
  if not any(found):
    peak = measure(source).peak
    line += f": {output.copy(info, target, peak, **form)}"
    return Outcome(line, effects)
  logger.info("%s: %s", source, line)
  with files.open_reader(source) as reader:
    blocks = undo(found, reader.blocks(dtype="float64"))
    blocks = output.show_progress(blocks, reader.frames)
    overflow = output.write_by_way_of_scratch(
      target, blocks, reader, dtype="float64", **form
    )
  return Outcome("; ".join(filter(None, (line, overflow))), effects)


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
  return f"{found.effect}: {gain}scale {parameters.scale:.5g}{colour}{doubt}"


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
