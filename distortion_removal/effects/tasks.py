"""Tasks, the paper's and more: what is degraded, how strongly, how loud."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from distortion_removal.common.errors import UserError
from distortion_removal.effects import options as effect_options
from distortion_removal.effects.options import EffectOptions

if TYPE_CHECKING:
  # Importing JAX takes seconds; only what is computed needs it.
  from distortion_removal.effects import Effect
  from distortion_removal.effects.tone import Section


@dataclasses.dataclass(frozen=True)
class Task:
  """One task: the first three are those of Imort et al. 2022, section 4.

  Attributes:
    name: as on the command line and in configurations; with options, these
      are appended, so that results of one do not pass for another's.
    effect: which degradation, see `effects.EFFECTS`; "recorded" stands for
      pairs that come with their degraded audio.
    train_levels: bounds of the levels drawn in training, uniform.
    evaluation_levels: levels of validation and test.
    clean_peak: the peak of a whole excerpt that the effect expects; None keeps
      the recording's own scale.
    degraded_peak: the peak of a whole degraded excerpt, which hardly depends on
      the level (SoX overdrive: median 0.84, 90 % within 0.76 ... 0.96 over all
      gains, on real direct-input guitar; the diode 0.87 ... 1.25); None where
      it can be anything. It tells how to scale a recording for a network that
      expects the task's own.
    loudness_lufs: of listening excerpts (ITU-R BS.1770-4).
    label: for tables and plots.
    options: of the effect, see `effect_options`.
    sample_rate: in Hz, that the corners of tone filters are meant at; 0
      where there are none.

  What a level is, its effect says: mostly the gain in dB, the input SDR in dB
  for `hard_clip_sdr`, bits for `bit_crush`, and nothing (0) for `recorded`.
  """

  name: str
  effect: str
  train_levels: tuple[float, float]
  evaluation_levels: tuple[float, ...]
  clean_peak: float | None
  degraded_peak: float | None
  loudness_lufs: float
  label: str
  options: EffectOptions = effect_options.NONE
  sample_rate: int = 0


_GAINS_DB = (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0)
_INPUT_SDRS_DB = (1.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)

TASKS: dict[str, Task] = {
  task.name: task
  for task in (
    Task(
      name="overdrive",
      effect="overdrive",
      train_levels=(20.0, 50.0),
      evaluation_levels=_GAINS_DB,
      clean_peak=0.5,
      degraded_peak=0.84,
      loudness_lufs=-19.0,
      label="CEG-OD",
    ),
    Task(
      name="hard_clip",
      effect="hard_clip",
      train_levels=(20.0, 50.0),
      evaluation_levels=_GAINS_DB,
      clean_peak=0.5,
      degraded_peak=1.0,
      loudness_lufs=-19.0,
      label="CEG-HC",
    ),
    Task(
      name="hard_clip_sdr",
      effect="hard_clip_sdr",
      train_levels=(1.0, 20.0),
      evaluation_levels=_INPUT_SDRS_DB,
      clean_peak=None,
      degraded_peak=None,
      loudness_lufs=-23.0,
      label="SignalTrain-HC",
    ),
    Task(
      name="tanh",
      effect="tanh",
      train_levels=(20.0, 50.0),
      evaluation_levels=_GAINS_DB,
      clean_peak=0.5,
      degraded_peak=1.0,
      loudness_lufs=-19.0,
      label="tanh soft clip",
    ),
    Task(
      name="arctan",
      effect="arctan",
      train_levels=(20.0, 50.0),
      evaluation_levels=_GAINS_DB,
      clean_peak=0.5,
      degraded_peak=0.98,
      loudness_lufs=-19.0,
      label="arctan soft clip",
    ),
    Task(
      name="diode",
      effect="diode",
      train_levels=(20.0, 50.0),
      evaluation_levels=_GAINS_DB,
      clean_peak=0.5,
      degraded_peak=1.08,
      loudness_lufs=-19.0,
      label="diode clip",
    ),
    Task(
      name="foldback",
      effect="foldback",
      # Nothing folds below 6 dB; of 30 dB nothing is left to recognise.
      train_levels=(10.0, 25.0),
      evaluation_levels=(10.0, 13.0, 16.0, 19.0, 22.0, 25.0),
      clean_peak=0.5,
      degraded_peak=1.0,
      loudness_lufs=-19.0,
      label="foldback",
    ),
    Task(
      name="bit_crush",
      effect="bit_crush",
      train_levels=(3.0, 10.0),
      evaluation_levels=(3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
      clean_peak=0.5,
      degraded_peak=0.5,
      loudness_lufs=-19.0,
      label="bit crush",
    ),
    Task(
      name="random_distortion",
      effect="random_distortion",
      train_levels=(10.0, 50.0),
      evaluation_levels=(10.0, 20.0, 30.0, 40.0, 50.0),
      clean_peak=0.5,
      degraded_peak=None,
      loudness_lufs=-19.0,
      label="random distortion",
    ),
    Task(
      name="recorded",
      effect="recorded",
      train_levels=(0.0, 0.0),
      evaluation_levels=(0.0,),
      clean_peak=None,
      degraded_peak=None,
      loudness_lufs=-19.0,
      label="recorded distortion",
    ),
  )
}


def get(name: str) -> Task:
  """Returns the task called `name`.

  Raises:
    UserError: there is none.
  """
  if name not in TASKS:
    raise UserError(f"unknown task {name!r}: choose from {', '.join(TASKS)}")
  return TASKS[name]


def from_config(data: Any) -> Task:
  """The task of a run, with the options of its effect.

  Args:
    data: `config.data` of a run, see `configs/default.py`.

  Returns:
    The task called `data.task`; with options its name and label tell them, and
    `degraded_peak` is None, for it is not known.

  Raises:
    UserError: there is no such task, or its effect cannot be set like that.
  """
  task = get(data.task)
  options = effect_options.from_config(data, task.effect)
  if options == effect_options.NONE:
    return task
  return dataclasses.replace(
    task,
    name=f"{task.name}_{options.suffix}",
    degraded_peak=None,
    label=f"{task.label} ({options.label})",
    options=options,
    sample_rate=data.sample_rate,
  )


def effect_of(task: Task) -> "Effect":
  """The effect of a task, set as its options say, between its tone filters.

  Its label tells the options.
  """
  from distortion_removal import effects
  from distortion_removal.effects.tone import Section, chain

  effect, options = effects.get(task.effect), task.options
  if options == effect_options.NONE:
    return effect

  def sections(filters: tuple[effect_options.Filter, ...]) -> list["Section"]:
    return [
      Section(
        each.kind, each.corner_hz / task.sample_rate, each.q, each.gain_db
      )
      for each in filters
    ]

  apply = chain(
    functools.partial(effect.apply, **options.settings),
    before=sections(options.before),
    after=sections(options.after),
  )
  label = f"{effect.label} ({options.label})"
  return dataclasses.replace(effect, function=apply, label=label)
