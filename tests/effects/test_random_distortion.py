"""Random distortion: its draws, and that each is the effect that it names."""

import jax
import numpy as np
import pytest

from distortion_removal.effects import (
  bit_crush,
  clipping,
  overdrive,
  random_distortion,
  tone,
  waveshaping,
)

# A seed that draws each kind.
SEEDS = {
  "overdrive": 3,
  "hard_clip": 8,
  "tanh": 1,
  "arctan": 2,
  "diode": 6,
  "foldback": 4,
  "bit_crush": 0,
}
DB_PER_BIT = 20 * np.log10(2)
distort = jax.jit(
  random_distortion.random_distortion, static_argnames="oversample"
)
draw = jax.jit(random_distortion.draw)


def pluck(time=600):
  """A decaying sine `[1, time, 1]` with a peak of about 0.5."""
  n = np.arange(time)
  return np.float32(0.5 * np.sin(0.05 * n) * np.exp(-n / 300))[None, :, None]


def test_frequencies_and_ranges_of_many_draws():
  drawn = jax.tree.map(np.asarray, draw(np.arange(20000, dtype=np.uint32)))
  counts = np.bincount(drawn.kind) / 20000
  weights = list(random_distortion.WEIGHTS.values())
  np.testing.assert_allclose(counts, weights, atol=0.01)
  np.testing.assert_allclose(sum(weights), 1)
  colours, rails = np.quantile([drawn.colour, drawn.rail], [0, 0.5, 1], 1).T
  np.testing.assert_allclose(colours, [0, 50, 100], atol=1.5)
  np.testing.assert_allclose(rails, [0.25, 0.5, 1], atol=0.01)
  crushed = drawn.kind == random_distortion.KINDS.index("bit_crush")
  assert set(drawn.hold[crushed]) == {1, 2, 3, 4}
  assert set(drawn.hold[~crushed]) == {1}
  for section in (*drawn.before, *drawn.after):
    np.testing.assert_allclose(np.mean(section.gain_db == 0), 0.5, atol=0.02)
    assert -12 <= section.gain_db.min() < -8.9
    assert 5.9 < section.gain_db.max() <= 9
    assert 0 < section.corner.min() < section.corner.max() <= 0.25


@pytest.mark.parametrize("name", SEEDS)
def test_each_kind_is_its_effect_between_tones(name):
  drawn = draw(SEEDS[name])
  assert random_distortion.KINDS[drawn.kind] == name
  audio, gain_db, options = pluck(), 26.0, {"oversample": 2}
  apply, options = {
    "overdrive": (overdrive.overdrive, options | {"colour": drawn.colour}),
    "hard_clip": (clipping.hard_clip, options),
    "tanh": (waveshaping.tanh_clip, options),
    "arctan": (waveshaping.arctan_clip, options),
    "diode": (waveshaping.diode_clip, options | {"rails": (1.0, drawn.rail)}),
    "foldback": (waveshaping.foldback, options),
    "bit_crush": (bit_crush.bit_crush, {"hold": drawn.hold}),
  }[name]
  level = {"foldback": gain_db / 2, "bit_crush": 12 - gain_db / DB_PER_BIT}

  @jax.jit
  def between_tones(audio, level):
    toned = tone.equalise(audio, drawn.before)
    return tone.equalise(apply(toned, level, **options), drawn.after)

  expected = between_tones(audio, level.get(name, gain_db))
  actual = distort(audio, gain_db, SEEDS[name], oversample=2)
  # A code of the quantiser may round to the next.
  wrong = np.abs(np.float64(actual) - expected) > 3e-5
  assert np.mean(wrong) <= (0.01 if name == "bit_crush" else 0)


def test_the_draws_are_the_same_on_every_version():
  drawn = draw(np.arange(4, dtype=np.uint32))
  kinds = [random_distortion.KINDS[kind] for kind in drawn.kind]
  assert kinds == ["bit_crush", "tanh", "arctan", "overdrive"]
  np.testing.assert_array_equal(drawn.hold, [4, 1, 1, 1])
  sections = (*drawn.before, *drawn.after)
  numbers = [drawn.colour, drawn.rail]
  numbers += [x for s in sections for x in (s.corner, s.gain_db)]
  expected = [
    [33.229149, 44.591831, 23.00341, 64.895699],
    [0.47874752, 0.45907211, 0.84863746, 0.96676821],
    [0.01388128, 0.02496054, 0.01057834, 0.0082336],
    [0.0, 5.70994, 0.0, -10.082901],
    [0.09783867, 0.13900197, 0.03079719, 0.04814997],
    [-5.921738, 0.0, 5.5469522, 0.0],
    [0.09668382, 0.01735782, 0.08568797, 0.05456462],
    [0.0, 0.0, 0.0, 0.0],
    [0.12367276, 0.17661728, 0.0838048, 0.07560628],
    [4.8216763, 0.7549591, 2.684455, -10.058559],
  ]
  np.testing.assert_allclose(numbers, expected, rtol=1e-5)
