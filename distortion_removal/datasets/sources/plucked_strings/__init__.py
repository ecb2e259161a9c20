"""Synthetic plucked strings as a data set: nothing to download."""

import dataclasses

import numpy as np

from distortion_removal.datasets.sources.builder import (
  RenderedBuilder,
  RenderedConfig,
  task_configs,
)
from distortion_removal.datasets.sources.plucked_strings import synthesis


@dataclasses.dataclass(eq=False)
class PluckedStringsSmokeConfig(RenderedConfig):
  """Enough for a run of seconds that shows that everything works."""

  train_minutes: float = 0.4
  valid_minutes: float = 0.1
  test_minutes: float = 0.1


class PluckedStrings(RenderedBuilder):
  """Excerpts of plucked strings, rendered by a physical model."""

  BUILDER_CONFIGS = task_configs(RenderedConfig)

  @staticmethod
  def render(index: int, **options) -> np.ndarray:
    """Renders an excerpt of playing, see `synthesis.render`."""
    return synthesis.render(index, **options)


class PluckedStringsSmoke(PluckedStrings):
  """A few seconds of `PluckedStrings`."""

  CONFIG = PluckedStringsSmokeConfig
  BUILDER_CONFIGS = task_configs(PluckedStringsSmokeConfig)
