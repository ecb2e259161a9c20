"""Changes of a clean take, so that training counts it as another one.

Only what keeps a pair a pair. Where an effect is applied on the fly, it is
applied afterwards, so anything goes; of a recorded pair both sides get the
same, and no sum is made, for a device's output of a sum is not the sum of its
outputs. Everything is drawn from the record's own generator, and what is off
draws nothing.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy import fft

from distortion_removal.audio.resampling import resample
from distortion_removal.common.errors import UserError
from distortion_removal.effects.tasks import Task

_LOWEST_SPEED, _HIGHEST_SPEED = 0.5, 2.0
_EDGE = 128  # samples of the result that the resampler has no past for
_SECOND_TAKE_DB = (-12.0, 0.0)
_STEEPEST_DB = 12.0  # per octave
_FLAT_BELOW = 1 / 256  # cycles per sample: 62.5 Hz at 16 kHz


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Changes to draw; the defaults are none.

  Attributes:
    gain_db: both sides' gain, uniform within plus and minus. Only for tasks on
      the recording's own scale: where the task fixes the clean peak, the gain
      before the effect is the level, which is drawn anyway.
    polarity: half the examples are inverted, before the effect.
    swap_channels: half the examples swap left and right.
    speeds: each as likely; speed and pitch change together, as of a tape.
    sums: share of examples that are sums of two takes: a second one, from any
      place of it, up to 12 dB below the first.
    tilt_db: both sides' spectral slope per octave, uniform within plus and
      minus, as of another pick-up or tone control. The peak stays.
  """

  gain_db: float = 0.0
  polarity: bool = False
  swap_channels: bool = False
  speeds: tuple[float, ...] = ()
  sums: float = 0.0
  tilt_db: float = 0.0


def from_config(data: Any) -> Augmentation:
  """Reads the augmentation of `config.data`."""
  fields = dict(data.augment)
  known = [field.name for field in dataclasses.fields(Augmentation)]
  for name in fields:
    if name not in known:
      raise UserError(
        f"config.data.augment.{name}: unknown; choose from {', '.join(known)}"
      )
  try:
    speeds = tuple(map(float, fields.get("speeds", ())))
    numbers = {
      name: float(fields.get(name, 0.0))
      for name in ("gain_db", "tilt_db", "sums")
    }
  except (TypeError, ValueError) as error:
    raise UserError(f"config.data.augment: {error}; give numbers") from None
  return Augmentation(**fields | {"speeds": speeds} | numbers)


def check(options: Augmentation, task: Task, channels: int) -> None:
  """Checks that a run's task and channels allow an augmentation."""
  field = "config.data.augment"
  if not 0 <= options.gain_db < math.inf:
    raise UserError(f"{field}.gain_db is {options.gain_db}; it must be >= 0")
  if options.gain_db and task.clean_peak is not None:
    raise UserError(
      f"{field}.gain_db: {task.name} fixes the clean peak at "
      f"{task.clean_peak:g}, so that a gain would be a change of its level; "
      "set 0"
    )
  if options.swap_channels and channels != 2:
    raise UserError(f"{field}.swap_channels: the audio is mono; set False")
  for speed in options.speeds:
    if not _LOWEST_SPEED <= speed <= _HIGHEST_SPEED:
      raise UserError(
        f"{field}.speeds: {speed}; choose from {_LOWEST_SPEED:g} to "
        f"{_HIGHEST_SPEED:g}"
      )
  if not 0 <= options.tilt_db <= _STEEPEST_DB:
    raise UserError(
      f"{field}.tilt_db is {options.tilt_db}; choose from 0 to {_STEEPEST_DB:g}"
    )
  if options.tilt_db and task.effect == "recorded":
    raise UserError(
      f"{field}.tilt_db: a device does not let a tilt pass unchanged; set 0"
    )
  if not 0 <= options.sums <= 1:
    raise UserError(f"{field}.sums is {options.sums}; it is a share, 0 to 1")
  if options.sums and task.effect == "recorded":
    raise UserError(
      f"{field}.sums: no sum of recorded pairs is a pair of the device; set 0"
    )


def add_take(record: dict, other: dict, rng: np.random.Generator) -> dict:
  """Adds another take to a record, which keeps its length and `peak`.

  A shorter take is set in somewhere; of a longer one a part is used.
  """
  clean = np.asarray(record["clean"], np.float32)
  second = np.asarray(other["clean"], np.float32)
  gain = 10 ** (rng.uniform(*_SECOND_TAKE_DB) / 20)
  spare = len(second) - len(clean)
  start = int(rng.integers(abs(spare) + 1))
  if spare >= 0:
    second = second[start : start + len(clean)]
  else:
    second = np.pad(second, ((start, -spare - start), (0, 0)))
  total = clean + np.float32(gain) * second
  peak = np.abs(total).max()
  return record | {"clean": total / peak if peak else total}


def factors(
  options: Augmentation, rng: np.random.Generator
) -> tuple[np.float32, slice]:
  """Draws a gain, inversion included, and an order of the channels."""
  gain, swapped = 1.0, False
  if options.gain_db:
    gain *= 10 ** (rng.uniform(-options.gain_db, options.gain_db) / 20)
  if options.polarity:
    gain *= rng.choice((-1.0, 1.0))
  if options.swap_channels:
    swapped = rng.integers(2) == 1
  return np.float32(gain), slice(None, None, -1 if swapped else 1)


def speed_of(options: Augmentation, rng: np.random.Generator) -> float:
  """Draws the speed of an example; 1 if there are none to choose from."""
  return float(rng.choice(options.speeds)) if options.speeds else 1.0


def source_length(length: int, speed: float) -> int:
  """Counts the samples that `play` needs for `length` samples of it."""
  if speed == 1.0:
    return length
  return math.ceil((length + 2 * _EDGE) * speed) + 1


def play(audio: np.ndarray, speed: float, length: int) -> np.ndarray:
  """Plays `[source_length(length, speed), channels]` at another speed.

  Pitch goes along: at 2 it is an octave higher. The result,
  `[length, channels]`, begins 128 samples late, which the resampler has no past
  for; it is of linear phase, and its delay is compensated.
  """
  if speed == 1.0:
    return audio
  faster = resample(np.ascontiguousarray(audio), speed, 1.0)
  return faster[_EDGE : _EDGE + length]


def tilted(
  options: Augmentation, audio: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """Draws a slope and gives it to the spectrum of `[time, channels]`.

  The filter has zero phase; the peak stays what it was.
  """
  if not options.tilt_db:
    return audio
  slope_db = rng.uniform(-options.tilt_db, options.tilt_db)
  size = fft.next_fast_len(len(audio) + _EDGE, real=True)
  frequencies = np.maximum(fft.rfftfreq(size), _FLAT_BELOW)
  gain = frequencies ** (slope_db / (20 * np.log10(2)))
  spectrum = fft.rfft(audio, size, axis=0) * gain[:, None]
  result = fft.irfft(spectrum, size, axis=0)[: len(audio)]
  peak, before = np.abs(result).max(), np.abs(audio).max()
  return np.float32(result * (before / peak) if peak else result)
