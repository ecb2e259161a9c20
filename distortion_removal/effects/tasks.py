"""Tasks, the paper's and more: effect, levels and scale of the audio."""

import dataclasses
import functools
from typing import Any

from distortion_removal import effects
from distortion_removal.common.errors import UserError, look_up
from distortion_removal.effects import Effect
from distortion_removal.effects.options import (
  NO_OPTIONS,
  EffectOptions,
  parse_options,
)

_GAINS_DB = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0)
HARD_CLIPS = ("hard_clip", "hard_clip_sdr")  # effects
_INPUT_SDRS_DB = (1.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)


@dataclasses.dataclass(frozen=True)
class Task:
  """A task; the defaults are those of the paper's guitar tasks.

  A level is what the effect takes: mostly the gain in dB, the input SDR in dB
  for `hard_clip_sdr`, bits for `bit_crush`, and nothing (0) for `recorded`.

  Attributes:
    name: the name on the command line and in configurations. With options it
      has their suffix, to keep results with different options apart.
    effect: the name of the degradation in `effects.EFFECTS`; "recorded" stands
      for pairs that come with their degraded audio.
    label: the name in tables and plots.
    degraded_peak: the peak of a whole degraded excerpt, which hardly depends
      on the level (SoX overdrive: median 0.84, 90 % within 0.76 ... 0.96 over
      all gains, on real direct-input guitar; the diode 0.87 ... 1.25), or None
      if it varies. Recordings are scaled to it for a network of the task.
    evaluation_levels: the levels of validation and test, ascending.
    clean_peak: the peak of a whole excerpt that the effect expects; None keeps
      the recording's own scale.
    loudness_lufs: loudness of listening excerpts (ITU-R BS.1770-4).
    options: the options of the effect.
    sample_rate: the rate in Hz that the corners of tone filters are meant at;
      0 if there are none.
    trained: bounds of the levels in training; (): those of the evaluation.
  """

  name: str
  effect: str
  label: str
  degraded_peak: float | None = None
  evaluation_levels: tuple[float, ...] = _GAINS_DB
  clean_peak: float | None = 0.5
  loudness_lufs: float = -19.0
  options: EffectOptions = NO_OPTIONS
  sample_rate: int = 0
  trained: tuple[float, ...] = ()

  @property
  def train_levels(self) -> tuple[float, float]:
    """Bounds of the levels in training, drawn uniformly."""
    levels = self.trained or self.evaluation_levels
    return levels[0], levels[-1]


def _task(name: str, label: str, **fields: Any) -> Task:
  """Makes a task that is named after its effect."""
  return Task(name, name, label, **fields)


# The first three are those of Imort et al. 2022, section 4.
TASKS: dict[str, Task] = {
  task.name: task
  for task in (
    _task("overdrive", "CEG-OD", degraded_peak=0.84),
    _task("hard_clip", "CEG-HC", degraded_peak=1.0),
    _task(
      "hard_clip_sdr",
      "SignalTrain-HC",
      evaluation_levels=_INPUT_SDRS_DB,
      clean_peak=None,
      loudness_lufs=-23.0,
    ),
    _task("tanh", "tanh soft clip", degraded_peak=1.0),
    _task("arctan", "arctan soft clip", degraded_peak=0.98),
    _task("diode", "diode clip", degraded_peak=1.08),
    _task(
      "foldback",
      "foldback",
      degraded_peak=1.0,
      # Nothing folds below 6 dB; from 30 dB on nothing is recognisable.
      evaluation_levels=(10.0, 13.0, 16.0, 19.0, 22.0, 25.0),
    ),
    _task(
      "bit_crush",
      "bit crush",
      degraded_peak=0.5,
      evaluation_levels=(3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
    ),
    _task(
      "random_distortion",
      "random distortion",
      evaluation_levels=(10.0, 20.0, 30.0, 40.0, 50.0),
    ),
    _task(
      "recorded",
      "recorded distortion",
      evaluation_levels=(0.0,),
      clean_peak=None,
    ),
  )
}


def get(name: str) -> Task:
  """Returns the task called `name`, or raises UserError."""
  return look_up(TASKS, "task", name)


def from_config(data: Any) -> Task:
  """Returns the task that a run's `config.data` describes.

  With options, its name and label contain them and `degraded_peak` is None,
  because it is unknown.

  Raises:
    UserError: there is no such task, or an option cannot work.
  """
  task = get(data.task)
  if data.levels:
    task = dataclasses.replace(task, trained=_bounds(data.levels))
  chosen = parse_options(data, task.effect)
  if chosen == NO_OPTIONS:
    return task
  return dataclasses.replace(
    task,
    name=f"{task.name}_{chosen.suffix}",
    degraded_peak=None,
    label=f"{task.label} ({chosen.label})",
    options=chosen,
    sample_rate=data.sample_rate,
  )


def _bounds(levels: Any) -> tuple[float, float]:
  """Reads `config.data.levels`."""
  match tuple(levels):
    case (int() | float() as low, int() | float() as high) if low <= high:
      return float(low), float(high)
  raise UserError(
    f"config.data.levels is {levels!r}; give the lowest and the highest, such "
    "as (20.0, 50.0), or () for those that are evaluated"
  )


def effect_of(task: Task) -> Effect:
  """Returns a task's effect with its options, between its tone filters.

  Source: the filter-distortion-filter model of pedals and amplifiers by Yeh,
  Abel and Smith, DAFx 2007 (see `waveshaping.diode_clip`).
  """
  effect, chosen = effects.get(task.effect), task.options
  if chosen == NO_OPTIONS:
    return effect
  # Importing JAX takes seconds, and most users of tasks compute nothing.
  from distortion_removal.effects.tone import Section, equalise

  before, after = (
    [Section(f.kind, f.corner_hz / task.sample_rate, f.q, f.gain_db) for f in x]
    for x in (chosen.before, chosen.after)
  )
  distort = functools.partial(effect.apply, **dict(chosen.values))

  def apply(audio, *levels):
    return equalise(distort(equalise(audio, before), *levels), after)

  label = f"{effect.label} ({chosen.label})"
  return dataclasses.replace(effect, function=apply, label=label)
