"""Usual colours, and steps of formats, of which the values are known."""

import numpy as np
import pytest
from overdriven import STEP, overdriven, rounded, strings

from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inversion import settings

OVERDRIVE = FAMILY["overdrive"]
GAIN, SCALE = 100.0, 0.4


def as_found(colour, offset):
  """The same settings, with the offset in the clean signal's DC."""
  dc = offset / (0.5 * SCALE)
  return Parameters(GAIN, SCALE, colour / 200 - GAIN * dc, 0.0), dc


def test_colours_are_shifts():
  assert settings.shift(20.0) == 0.1
  assert settings.colour(Parameters(1.0, shift=0.1)) == 20.0


def test_an_offset_and_a_dc_of_the_clean_signal_are_one():
  """What `as_found` says of the formula, in NumPy."""
  clean = np.sin(np.arange(500) / 5)
  found, dc = as_found(20.0, -0.01)
  expected = overdriven(clean, 40.0, 20.0, SCALE) - 0.01
  other = overdriven(clean + dc, 40.0, 200.0 * found.shift, SCALE)
  # The DC blocker begins with other samples than 0, as its signal does.
  np.testing.assert_allclose(other, expected, atol=1e-12)


@pytest.mark.parametrize("colour", [0.0, 20.0])
@pytest.mark.parametrize("steps", [0.0, -0.5, -1.0, 0.2])
def test_rounding_explains_an_offset(colour, steps):
  found, _ = as_found(colour, steps * STEP)
  settled = settings.with_usual_colour(OVERDRIVE, found, STEP)
  assert settled[:2] == found[:2]
  np.testing.assert_allclose(settings.colour(settled), colour, atol=1e-12)
  np.testing.assert_allclose(settled.offset, steps * STEP, atol=1e-12)


@pytest.mark.parametrize(
  ("effect", "colour", "step"),
  [
    ("overdrive", 7.0, STEP),  # which no rounding makes of 0 or 20
    ("overdrive", 1.0, 0.0),  # a file of floats
    ("tanh", 0.0, STEP),  # has no colour
  ],
)
def test_other_colours_stay(effect, colour, step):
  found, _ = as_found(colour, 0.0)
  assert settings.with_usual_colour(FAMILY[effect], found, step) == found


def test_floats_keep_the_colour_that_is_found():
  found = Parameters(30.0, 0.4, settings.shift(19.96), 0.0)
  assert settings.with_usual_colour(OVERDRIVE, found, 0.0) == found


def test_steps_of_formats():
  audio = strings(0.1)
  assert settings.step_of(rounded(audio)) == 2.0**-15
  assert settings.step_of(np.rint(audio * 2**23) / 2**23) == 2.0**-23
  assert settings.step_of(np.float32(audio / 3)) == 0.0
