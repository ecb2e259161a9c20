"""What a user says or reads of an effect's settings: colour, gain, steps."""

import numpy as np

from distortion_removal.effects.invertible import Invertible, Parameters
from distortion_removal.effects.overdrive import COLOUR_OF_1

# SoX's default, and what Imort et al. 2022 set.
_USUAL_COLOURS = (20.0, 0.0)
# Of the offset in steps of the file's format: rounding twice leaves 0, cutting
# off -0.5 each time; and what the search may be off by.
_OFFSETS = (-1.25, 0.25)


def colour(parameters: Parameters) -> float:
  """Returns the overdrive's colour, 0 to 100 in SoX."""
  return COLOUR_OF_1 * parameters.shift


def shift(colour: float) -> float:
  """Returns the shift that a colour of the overdrive is."""
  return colour / COLOUR_OF_1


def with_usual_colour(
  effect: Invertible, parameters: Parameters, step: float
) -> Parameters:
  """Settles on a usual colour, if the format's rounding explains the rest.

  A file whose samples were cut off instead of rounded lies half a step too low.
  The search takes that for a DC in the clean signal and another colour, see
  `estimate`; at a gain of 40 dB by 1 or so, and the DC may be -55 dB.

  Args:
    effect: the effect; another than one with clean signal has no colour.
    parameters: as found with an offset of 0.
    step: between neighbouring levels of the file; 0: it has floats.
  """
  if not effect.dry:
    return parameters
  best = parameters
  least = np.inf
  for usual in map(shift, _USUAL_COLOURS):
    dc = (parameters.shift - usual) / parameters.gain
    offset = -effect.dry * parameters.scale * dc
    low, high = (step * bound for bound in _OFFSETS)
    if low <= offset <= high and abs(offset) < least:
      least = abs(offset)
      best = parameters._replace(shift=usual, offset=offset)
  return best


def step_of(audio: np.ndarray) -> float:
  """Returns the step of 8 to 24 bits that all samples lie on, or 0."""
  for bits in range(8, 25):
    scaled = np.asarray(audio, np.float64) * 2.0 ** (bits - 1)
    if np.array_equal(scaled, np.rint(scaled)):
      return 2.0 ** (1 - bits)
  return 0.0
