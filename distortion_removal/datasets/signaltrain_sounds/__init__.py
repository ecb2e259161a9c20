"""Test sounds of the kinds that SignalTrain has, made here: no download."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from distortion_removal.datasets import builder
from distortion_removal.datasets.tasks import TASKS, Task

# Far apart, so that no split's excerpt is another's whatever their sizes are.
_FIRST_INDEX = {"train": 0, "valid": 1_000_000_000, "test": 2_000_000_000}


@dataclasses.dataclass(eq=False)
class SignalTrainSoundsConfig(builder.TaskConfig):
  """How much to make, in minutes of each split, and from which seed."""

  task: Task = TASKS["hard_clip_sdr"]
  train_minutes: float = 40.0
  valid_minutes: float = 2.0
  test_minutes: float = 3.0
  seed: int = 0


class SignalTrainSounds(builder.CleanAudioBuilder):
  """Excerpts of random test sounds: tones, noise, sweeps, steps, mixtures."""

  name = "signaltrain_sounds"
  CONFIG = SignalTrainSoundsConfig
  BUILDER_CONFIGS = builder.task_configs(SignalTrainSoundsConfig)
  builder_config: SignalTrainSoundsConfig

  def source(self) -> dict:
    """The sizes of the splits and the seed."""
    config = self.builder_config
    fields = [f"{split}_minutes" for split in builder.SPLITS]
    return {field: getattr(config, field) for field in [*fields, "seed"]}

  def excerpts(self) -> dict[str, Iterator[tuple[str, np.ndarray]]]:
    """The excerpts of every split, made as they are consumed."""
    return {split: self._render(split) for split in builder.SPLITS}

  def _render(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
    from distortion_removal.datasets.signaltrain_sounds.sounds import render

    config = self.builder_config
    minutes = getattr(config, f"{split}_minutes")
    count = max(1, round(60 * minutes / config.excerpt_seconds))
    for position in builder.track(range(count), split):
      audio = render(
        _FIRST_INDEX[split] + position,
        seed=config.seed,
        sample_rate=config.sample_rate,
        seconds=config.excerpt_seconds,
      )
      yield f"{split}#{position:05d}", np.tile(audio, (1, config.channels))
