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
distort = jax.jit(
  random_distortion.random_distortion, static_argnames="oversample"
)
draw = jax.jit(random_distortion.draw)


def plucks(items, time=600):
  """Decaying sines `[items, time, 1]` with a peak of about 0.5."""
  n = np.arange(time)
  pitch = np.linspace(0.05, 0.3, items)[:, None]
  return np.float32(0.5 * np.sin(pitch * n) * np.exp(-n / 300))[..., None]


def test_frequencies_and_ranges_of_many_draws():
  drawn = jax.tree.map(np.asarray, draw(np.arange(20000, dtype=np.uint32)))
  counts = np.bincount(drawn.kind) / 20000
  weights = list(random_distortion.WEIGHTS.values())
  np.testing.assert_allclose(counts, weights, atol=0.01)
  np.testing.assert_allclose(sum(weights), 1)
  np.testing.assert_allclose(
    np.quantile(drawn.colour, [0, 0.5, 1]), [0, 50, 100], atol=1.5
  )
  np.testing.assert_allclose(
    np.quantile(drawn.rail, [0, 0.5, 1]), [0.25, 0.5, 1], atol=0.01
  )
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
  audio, gain_db = plucks(1), 26.0
  options = {"oversample": 2}
  effects = {
    "overdrive": lambda x, gain_db: overdrive.overdrive(
      x, gain_db, colour=drawn.colour, **options
    ),
    "hard_clip": lambda x, gain_db: clipping.hard_clip(x, gain_db, **options),
    "tanh": lambda x, gain_db: waveshaping.tanh_clip(x, gain_db, **options),
    "arctan": lambda x, gain_db: waveshaping.arctan_clip(x, gain_db, **options),
    "diode": lambda x, gain_db: waveshaping.diode_clip(
      x, gain_db, rails=(1.0, drawn.rail), **options
    ),
    "foldback": lambda x, gain_db: waveshaping.foldback(
      x, gain_db / 2, **options
    ),
    "bit_crush": lambda x, gain_db: bit_crush.bit_crush(
      x, 12 - gain_db / (20 * np.log10(2)), hold=drawn.hold
    ),
  }
  chain = tone.chain(effects[name], before=drawn.before, after=drawn.after)
  expected = jax.jit(chain)(audio, gain_db)
  actual = distort(audio, gain_db, SEEDS[name], **options)
  # A code of the quantiser may round to the next.
  wrong = np.abs(np.float64(actual) - expected) > 3e-5
  assert np.mean(wrong) <= (0.01 if name == "bit_crush" else 0)


@pytest.mark.e2e
def test_more_drive_distorts_more_and_is_bounded():
  audio, seeds = plucks(40), np.arange(40, dtype=np.uint32)

  def distances(gain_db):
    output = np.float64(distort(audio, gain_db, seeds))
    # Rails of 1, tone of +6 or +9 dB twice, and the overshoot of filters.
    assert np.abs(output).max() < 6
    inner = np.sum(audio * output, (1, 2))
    norms = np.sum(audio**2, (1, 2)) * np.sum(output**2, (1, 2))
    return 1 - inner**2 / norms  # 0 for a scaled copy

  medians = [np.median(distances(gain_db)) for gain_db in (10.0, 25.0, 45.0)]
  assert medians[0] < medians[1] < medians[2]


@pytest.mark.e2e
def test_silence_stays_but_for_the_step_of_a_coloured_overdrive():
  seeds = np.uint32([SEEDS[name] for name in SEEDS])
  output = np.asarray(distort(np.zeros((7, 4000, 1)), 40.0, seeds))
  assert np.abs(output[1:]).max() < 1e-6
  assert 0.01 < np.abs(output[0]).max() < 1
  assert np.abs(output[0, -10:]).max() < 1e-6


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
