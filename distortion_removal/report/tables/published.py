"""What Imort et al. 2022 published, to stand beside one's own numbers."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

# By metric, by method.
Quartiles = Mapping[str, Mapping[str, tuple[float, float, float]]]
Numbers = Mapping[str, Mapping[str, float]]
# Likewise, then by level.
ByLevel = Mapping[str, Mapping[str, Mapping[float, float]]]


@dataclasses.dataclass(frozen=True)
class Published:
  """The paper's numbers of one task, all levels together but for the means.

  Attributes:
    citation: short, as a heading.
    source: where the numbers are from.
    dataset: what they are of.
    sample_rate: of that, in Hz; it is mono.
    resolution: how exactly the numbers could be read, by metric.
    quartiles: lower, median and upper.
    mean_by_level: only of SignalTrain.
    systems: of metrics of sets.
    notes: a sentence each.
  """

  citation: str
  source: str
  dataset: str
  sample_rate: int
  resolution: Mapping[str, float]
  quartiles: Quartiles
  mean_by_level: ByLevel
  systems: Numbers
  notes: Sequence[str]

  def methods(self, metric: str) -> tuple[str, ...]:
    """Those that have numbers of a metric."""
    return tuple(self.quartiles.get(metric) or self.systems.get(metric) or ())

  def is_same_corpus(self, dataset: str) -> bool:
    """Whether a data set is made of the recordings that theirs is made of."""
    return dataset == "signaltrain" and self.dataset == "SignalTrain"


def get(task: str) -> Published | None:
  """The paper's numbers of a task; None of tasks that it does not have."""
  known = _read()
  if task not in known["tasks"]:
    return None
  fields = known["tasks"][task]
  return Published(
    citation=known["citation"],
    source=known["source"],
    dataset=fields["dataset"],
    sample_rate=known["sample_rate"],
    resolution=known["resolution"],
    quartiles={
      metric: {method: tuple(x) for method, x in by_method.items()}
      for metric, by_method in fields["quartiles"].items()
    },
    mean_by_level={
      metric: {
        method: {float(level): mean for level, mean in by_level.items()}
        for method, by_level in by_method.items()
      }
      for metric, by_method in fields["mean_by_level"].items()
    },
    systems=fields["systems"],
    notes=tuple(fields["notes"]),
  )


@functools.cache
def _read() -> dict:
  path = Path(__file__).with_name("published.json")
  return json.loads(path.read_text(encoding="utf-8"))
