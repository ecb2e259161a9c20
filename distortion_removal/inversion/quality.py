"""Predicts how good an undone recording is, by what it sounds like itself.

Where nothing but rounding followed the effect, its inverse is exact, and the
error is that of the rounding, divided by the effect's slope. Resampling, a
codec or noise leave more, most of it where the effect has clipped: a linear
prediction foresees less of the music there than elsewhere. How much less tells
the SI-SDR of the result, by a regression on recordings whose clean ones are
known, see `experiments/inversion_quality.py`. Another recording mixed in is
foreseen as music is, and hard to tell.

Source: none is published; see docs/inversion.md.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.signal

from distortion_removal.inversion.recording import CHANGES, Recording

# Slopes up to this, relative to the clean signal's own, are clipped: SoX adds
# half of it.
_FLAT = 1.1
# Median of a squared Gaussian of variance 1.
_MEDIAN_OF_SQUARE = 0.455
_BINS = 1024
_LEAST_SHARPNESS = 3e-4
_RANGE_DB = 0.0, 70.0
# What the error of the settings leaves of a finer format.
_SEARCH_DB = 70.0
# Middle and width of each piece of evidence, the rounding limited.
_MIDDLES = 60.0, -1.2, 25.0, 32.0, 38.0, 0.5
_WIDTHS = 8.0, 0.9, 12.0, 13.0, 14.0, 0.5
# As the experiment prints them, see `Evidence.terms`.
_EXACT = (-3.991, -1.4, 1.404, 1.284, 0.926, 0.266, -1.046)
# fmt: off
_INEXACT_DB = (
  17.516, 3.078, 0.452, 11.575, -4.46, 3.435, -0.664, 0.659, 0.686, 2.443,
  0.448, 2.387, 1.061, -1.12, 2.104, 2.523, -0.196, -0.522, -1.861, 0.182,
  0.061, -2.33, 0.82, -0.348, 0.707, -0.226, 0.318, 0.088,
)
# fmt: on


class Evidence(NamedTuple):
  """What tells how good a result is.

  Attributes:
    rounding_db: the SI-SDR if nothing but the format's rounding limits it.
    log_sharpness: log10 of the estimate's sharpness.
    flat_mean_db: energy of the result over that of its noise, by the mean
      residual where the effect has clipped.
    flat_median_db: the same by the median, which overlooks kinks.
    other_median_db: by the median where it has not.
    has_gap: 1 where the band has a gap at its upper end, which an effect fills,
      or the result too much there; else 0.
  """

  rounding_db: float
  log_sharpness: float
  flat_mean_db: float
  flat_median_db: float
  other_median_db: float
  has_gap: float

  @property
  def limit_db(self) -> float:
    """The most that is to be expected."""
    return min(self.rounding_db, _SEARCH_DB)

  def terms(self, degree: int) -> np.ndarray:
    """Returns 1, the evidence by its width, and to degree 2 all products."""
    seen = np.array(self._replace(rounding_db=self.limit_db))
    seen = (seen - _MIDDLES) / _WIDTHS
    pairs = itertools.combinations_with_replacement(seen, 2)
    products = [one * other for one, other in pairs] if degree == 2 else []
    return np.array([1.0, *seen, *products])

  @property
  def si_sdr_db(self) -> float:
    """The SI-SDR of the result that is to be expected, in dB."""
    return self.expected_db(_EXACT, _INEXACT_DB)

  def expected_db(
    self, exact: npt.ArrayLike, inexact_db: npt.ArrayLike
  ) -> float:
    """Returns the SI-SDR in dB that coefficients of `terms` expect."""
    if np.dot(exact, self.terms(1)) > 0.0:
      return self.limit_db
    expected = float(np.dot(inexact_db, self.terms(2)))
    return min(max(expected, 0.0), self.limit_db)


def evidence(
  recording: Recording, settings: np.ndarray, sharpness: float, step: float
) -> Evidence:
  """Gathers what tells how good a recording is without the effect.

  Args:
    recording: with the blocks to look at.
    settings: `[3]`, as the search has them.
    sharpness: of the estimate.
    step: between neighbouring levels of the recording; 0: it has floats.
  """
  undone = recording.undo(np.repeat(settings[None], CHANGES, axis=0))
  signal, slope = np.asarray(undone.signal[0]), np.asarray(undone.slope[0])
  residual, _, gains = recording.residuals(undone)
  is_used = recording.weights > 0
  noise = np.square(residual[is_used, 0]) / gains[is_used, None]
  starts = np.concatenate([some.starts for some in recording.cuts])[is_used]
  places = starts[:, None] + np.arange(recording.blocks.length)
  scale = float(np.exp(settings[1] / 100.0))
  is_flat = slope[places] < _FLAT * recording.effect.dry * scale
  power = signal.var()
  # Rounding errors are uniform, and floats round to 24 bits of the peak.
  step = step or float(np.abs(recording.audio).max()) * 2.0**-24
  rounding = step**2 / 12.0 * np.mean(slope**-2.0)
  return Evidence(
    10.0 * float(np.log10(power / rounding)),
    float(np.log10(max(sharpness, _LEAST_SHARPNESS))),
    _ratio_db(power, noise[is_flat], np.mean, 1.0),
    _ratio_db(power, noise[is_flat], np.median, _MEDIAN_OF_SQUARE),
    _ratio_db(power, noise[~is_flat], np.median, _MEDIAN_OF_SQUARE),
    float(_edge_db(recording.audio) < -5.0 or _edge_db(signal) > 3.0),
  )


def _ratio_db(
  power: float,
  noise: np.ndarray,
  mean: Callable[[np.ndarray], float],
  unit: float,
) -> float:
  """Returns the power over the noise's; at best where there is no noise."""
  if not noise.size:
    return _RANGE_DB[1]
  ratio = power * unit / max(float(mean(noise)), 1e-30)
  return float(np.clip(10.0 * np.log10(ratio), *_RANGE_DB))


def _edge_db(audio: np.ndarray) -> float:
  """Returns the level at the band's upper edge relative to that below it."""
  if len(audio) < _BINS:
    return 0.0
  _, power = scipy.signal.welch(np.asarray(audio), nperseg=_BINS)
  power = 10.0 * np.log10(power + 1e-30)
  edge, below = power[-13:], power[-113:-53]
  return float(np.median(edge) - np.median(below))
