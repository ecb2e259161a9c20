"""The numbers of Imort et al. 2022, to stand beside one's own."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Published:
  """The paper's numbers of one task, over all levels but for the means."""

  citation: str  # short, for a heading
  source: str  # of the numbers, and how exactly they could be read
  sample_rate: int  # of the paper's recordings, in Hz; they are mono
  dataset: str  # the paper's recordings
  notes: Sequence[str]  # a sentence each
  # By metric, by method: lower quartile, median and upper quartile.
  quartiles: Mapping[str, Mapping[str, Sequence[float]]]
  # By metric, by method, by level; only of SignalTrain.
  mean_by_level: Mapping[str, Mapping[str, Mapping[float, float]]]
  # Metrics of sets: by metric, by method.
  systems: Mapping[str, Mapping[str, float]]

  def methods(self, metric: str) -> tuple[str, ...]:
    """Returns the methods that have numbers of a metric."""
    return tuple(self.quartiles.get(metric) or self.systems.get(metric) or ())


@functools.cache
def published(task: str) -> Published | None:
  """Returns the paper's numbers of a task; None of tasks it does not have."""
  path = Path(__file__).with_name("published.json")
  shared = json.loads(path.read_text(encoding="utf-8"))
  fields = shared.pop("tasks").get(task)
  if fields is None:
    return None
  for by_method in fields["mean_by_level"].values():
    for method, by_level in by_method.items():
      by_method[method] = {float(level): x for level, x in by_level.items()}
  return Published(**shared | fields)
