"""Settings found from synthesised strings alone, and when there are none.

16 kHz, 16 bits; 3 s where the paper's excerpts have 10.
"""

import jax
import numpy as np
import pytest
from overdriven import STEP, overdriven, rounded, si_sdr_db, strings, truncated

from distortion_removal.effects import invertible
from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inversion import settings
from distortion_removal.inversion.estimate import estimate

RATE = 16_000
OVERDRIVE = FAMILY["overdrive"]


def invert(audio, parameters):
  with jax.enable_x64(True):
    return np.asarray(invertible.invert(OVERDRIVE, audio, parameters)[0])


@pytest.mark.e2e
@pytest.mark.parametrize(
  ("index", "gain_db", "colour", "scale", "to_format"),
  [
    (3, 27.0, 20.0, 0.5, rounded),
    (0, 35.0, 0.0, 0.4, truncated),
    (2, 50.0, 20.0, 0.3, truncated),
  ],
)
def test_finds_what_the_overdrive_was_set_to(
  index, gain_db, colour, scale, to_format
):
  clean = strings(3.0, index)
  audio = to_format(overdriven(clean, gain_db, colour, scale))
  found = estimate(OVERDRIVE, audio, RATE)
  assert found.is_certain
  assert found.gain_db == pytest.approx(gain_db, abs=0.1)
  assert found.parameters.scale == pytest.approx(scale, rel=5e-4)
  settled = settings.with_usual_colour(OVERDRIVE, found.parameters, STEP)
  assert settings.colour(settled) == pytest.approx(colour, abs=1.0)
  offset = -0.5 * STEP if to_format is truncated else 0.0
  true = Parameters(10 ** (gain_db / 20), scale, settings.shift(colour), offset)
  known_db, found_db = (
    si_sdr_db(invert(audio, each), clean) for each in (true, settled)
  )
  assert known_db > 50.0
  assert found_db > known_db - 2.0


@pytest.mark.e2e
@pytest.mark.parametrize(
  "other",
  [
    lambda clean: clean,
    lambda clean: 0.3 * np.clip(100.0 * clean, -1, 1),
    lambda clean: 0.3 * np.tanh(10.0 * clean),
  ],
  ids=["clean", "hard_clip", "tanh"],
)
def test_is_not_certain_of_other_recordings(other):
  found = estimate(OVERDRIVE, rounded(other(strings(3.0, 1))), RATE)
  assert not found.is_certain
  assert found.sharpness < 0.01


@pytest.mark.e2e
@pytest.mark.parametrize("names", ["shift", "gain_db shift", "gain_db scale"])
def test_known_settings_are_held(names):
  """The others are found all the same."""
  given = {"gain_db": 35.0, "scale": 0.4, "shift": 0.1}
  known = {name: given[name] for name in names.split()}
  audio = rounded(overdriven(strings(2.0), 35.0, 20.0, 0.4))
  found = estimate(OVERDRIVE, audio, RATE, known=known)
  values = {"gain_db": found.gain_db, "scale": found.parameters.scale}
  values["shift"] = found.parameters.shift
  near = {"gain_db": 0.1, "scale": 2e-4, "shift": settings.shift(1.0)}
  for name, value in values.items():
    error = 1e-9 if name in known else near[name]
    assert value == pytest.approx(given[name], abs=error), name


@pytest.mark.e2e
def test_settings_that_are_all_known_are_judged():
  known = {"gain_db": 35.0, "scale": 0.4, "shift": 0.1}
  clean = strings(2.0)
  audio = rounded(overdriven(clean, 35.0, 20.0, 0.4))
  found = estimate(OVERDRIVE, audio, RATE, known=known)
  np.testing.assert_allclose(
    found.parameters, [10 ** (35.0 / 20), 0.4, 0.1, 0.0], rtol=1e-9
  )
  assert found.is_certain
  assert not estimate(OVERDRIVE, rounded(clean), RATE, known=known).is_certain


@pytest.mark.parametrize("samples", [0, 10, RATE])
def test_too_little_sound(samples):
  hiss = STEP * np.random.default_rng(0).integers(-3, 4, samples)
  assert estimate(OVERDRIVE, hiss, RATE) is None
