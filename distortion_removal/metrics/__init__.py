"""Quality metrics: NumPy functions of estimate and target, listed by name."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np

from distortion_removal import errors
from distortion_removal.metrics import si_sdr


@dataclasses.dataclass(frozen=True)
class Metric:
  """A metric of an estimate against its target, one number per item.

  Attributes:
    function: `function(estimate, target, *, sample_rate)`: two arrays
      `[batch, time, channels]` and a rate in Hz to `[batch]` float64; NaN where
      it is undefined.
    unit: the unit, empty for a pure number.
    direction: whether `higher` or `lower` values are better.
    low: the least value the metric can take.
    high: the greatest value the metric can take.
    label: the metric's name for people.
  """

  function: Callable[..., np.ndarray]
  unit: str
  direction: Literal["higher", "lower"]
  low: float
  high: float
  label: str


_SDR_LIMITS_DB = (-si_sdr.LIMIT_DB, si_sdr.LIMIT_DB)

METRICS = {
  "si_sdr": Metric(si_sdr.si_sdr, "dB", "higher", *_SDR_LIMITS_DB, "SI-SDR"),
  "sdr": Metric(si_sdr.sdr, "dB", "higher", *_SDR_LIMITS_DB, "SDR"),
}


def get(name: str) -> Metric:
  """Returns the metric called `name`.

  Raises:
    UserError: no metric has that name; the message lists those there are.
  """
  return errors.look_up(METRICS, "metric", name)
