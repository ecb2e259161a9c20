"""Synthetic plucked strings as a data set: nothing to download."""

import dataclasses

import numpy as np

from distortion_removal.datasets.sources import builder, rendered


@dataclasses.dataclass(eq=False)
class PluckedStringsConfig(rendered.RenderedConfig):
  """How much to render, and from which seed."""


@dataclasses.dataclass(eq=False)
class PluckedStringsSmokeConfig(PluckedStringsConfig):
  """Enough for a run of seconds that shows that everything works."""

  train_minutes: float = 0.4
  valid_minutes: float = 0.1
  test_minutes: float = 0.1


class PluckedStrings(rendered.RenderedBuilder):
  """Excerpts of plucked strings, rendered by a physical model."""

  CONFIG = PluckedStringsConfig
  BUILDER_CONFIGS = builder.task_configs(PluckedStringsConfig)

  @staticmethod
  def render(index: int, **options) -> np.ndarray:
    """One excerpt of playing, see `synthesis.render`."""
    from distortion_removal.datasets.sources.plucked_strings.synthesis import (
      render,
    )

    return render(index, **options)


class PluckedStringsSmoke(PluckedStrings):
  """A few seconds of `PluckedStrings`."""

  CONFIG = PluckedStringsSmokeConfig
  BUILDER_CONFIGS = builder.task_configs(PluckedStringsSmokeConfig)
