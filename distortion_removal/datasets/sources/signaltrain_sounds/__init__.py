"""Test sounds of the kinds that SignalTrain has, made here: no download."""

import dataclasses

import numpy as np

from distortion_removal.datasets.sources import builder, rendered
from distortion_removal.effects.tasks import TASKS, Task


@dataclasses.dataclass(eq=False)
class SignalTrainSoundsConfig(rendered.RenderedConfig):
  """How much to make, for SignalTrain's task."""

  task: Task = TASKS["hard_clip_sdr"]


class SignalTrainSounds(rendered.RenderedBuilder):
  """Excerpts of random test sounds: tones, noise, sweeps, steps, mixtures."""

  name = "signaltrain_sounds"
  CONFIG = SignalTrainSoundsConfig
  BUILDER_CONFIGS = builder.task_configs(SignalTrainSoundsConfig)

  @staticmethod
  def render(index: int, **options) -> np.ndarray:
    """One excerpt of consecutive sounds, see `sounds.render`."""
    from distortion_removal.datasets.sources.signaltrain_sounds.sounds import (
      render,
    )

    return render(index, **options)
