"""One endless stream of records out of one or several data sets."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grain
import numpy as np

from distortion_removal import datasets
from distortion_removal.datasets import leaks
from distortion_removal.errors import UserError

if TYPE_CHECKING:
  from distortion_removal.datasets.builder import CleanAudioBuilder


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Data sets, and how often each is drawn from.

  Attributes:
    sources: of records, by index.
    weights: one each; only their ratios count, whatever the sizes are.

  Raises:
    UserError: a weight is not above 0, or a data set is empty.
  """

  sources: tuple[Sequence[dict], ...]
  weights: tuple[float, ...]

  def __post_init__(self):
    for source, weight in zip(self.sources, self.weights, strict=True):
      if not 0 < weight < np.inf:
        raise UserError(
          f"config.data.sources: a weight is {weight}; it must be above 0"
        )
      if not len(source):
        raise UserError("a data set to train on is empty; prepare it again")

  def draw(self, rng: np.random.Generator) -> dict:
    """A record by chance: a data set by its weight, then one of its own."""
    shares = np.array(self.weights) / sum(self.weights)
    source = self.sources[rng.choice(len(shares), p=shares)]
    return source[int(rng.integers(len(source)))]

  def stream(self, seed: int) -> grain.MapDataset:
    """The records in the order of training, by index and without end.

    Each data set is shuffled, anew in every epoch of its own, so that none of
    its records comes twice before all have come once. Which data set is next
    is not left to chance: any stretch has the mixture's ratios, to a record.

    Args:
      seed: of the shuffling, and of what is drawn for the records downstream.
    """
    streams = [
      # The slice keeps the draws as they were when it was a process's share.
      grain.MapDataset.source(source).seed(own)[:].shuffle().repeat()
      for source, own in zip(self.sources, self._seeds(seed), strict=True)
    ]
    if len(streams) == 1:
      return streams[0]
    return grain.MapDataset.mix(streams, self.weights)

  def _seeds(self, seed: int) -> list[int]:
    """One for each data set, or equal ones would be shuffled alike."""
    others = np.random.SeedSequence(seed).generate_state(len(self.sources))
    return [seed, *map(int, others[1:])]


def training_source(
  data: Any, builder: "CleanAudioBuilder"
) -> datasets.Source | Mixture:
  """What a run is trained on.

  Args:
    data: `config.data` of the run; one of an older version has no `sources`.
    builder: of its data set, whose training split it is without `sources`.

  Raises:
    UserError: one of the data sets is missing or empty, or has in training
      what the run's own has in validation or test; or a weight is wrong.
  """
  if not data.get("sources"):
    return datasets.read_split(builder, "train")
  opened = open_sources(data, builder)
  for source, _ in opened:
    leaks.check_apart(source, builder)
  sources = [datasets.read_split(source, "train") for source, _ in opened]
  return Mixture(tuple(sources), tuple(weight for _, weight in opened))


def open_sources(
  data: Any, builder: "CleanAudioBuilder"
) -> list[tuple["CleanAudioBuilder", float]]:
  """The data sets that a run is trained on, with their weights.

  Args:
    data: `config.data` of the run.
    builder: of its data set, which is the only one without `data.sources`.

  Raises:
    UserError: one of them is missing.
  """
  opened = []
  for name, folder, weight in data.get("sources") or ():
    own = data.copy_and_resolve_references()
    own.update(dataset=name, data_dir=folder)
    opened.append((datasets.open_dataset(own), float(weight)))
  return opened or [(builder, 1.0)]
