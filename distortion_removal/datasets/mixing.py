"""One endless stream of records out of one or several data sets."""

import dataclasses
from collections.abc import Sequence

import grain
import numpy as np

from distortion_removal.common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Data sets, and how often each is drawn from.

  Attributes:
    sources: the data sets' records, by index.
    weights: one each; only their ratios count, whatever the sizes are.
  """

  sources: tuple[Sequence[dict], ...]
  weights: tuple[float, ...]

  def __post_init__(self):
    for weight in self.weights:
      if not 0 < weight < np.inf:
        raise UserError(
          f"config.data.sources: a weight is {weight}; it must be above 0"
        )

  def draw(self, rng: np.random.Generator) -> dict:
    """Draws a record: a data set by its weight, then one of its own."""
    shares = np.array(self.weights) / sum(self.weights)
    source = self.sources[rng.choice(len(shares), p=shares)]
    return source[int(rng.integers(len(source)))]

  def stream(self, seed: int) -> grain.MapDataset:
    """Streams the records in the order of training, by index, without end.

    Each data set is shuffled, anew in every epoch of its own, so that none of
    its records comes twice before all have come once. Which data set is next
    is not left to chance: any stretch has the mixture's ratios, to a record.
    The seed also decides what is drawn for the records downstream.
    """
    # One for each data set, or equal ones would be shuffled alike.
    others = np.random.SeedSequence(seed).generate_state(len(self.sources))
    seeds = [seed, *map(int, others[1:])]
    streams = [
      # The slice keeps the draws as they were when it was a process's share.
      grain.MapDataset.source(source).seed(own)[:].shuffle().repeat()
      for source, own in zip(self.sources, seeds, strict=True)
    ]
    if len(streams) == 1:
      return streams[0]
    return grain.MapDataset.mix(streams, self.weights)
