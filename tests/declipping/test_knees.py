"""Knees of sounds that are saturated by construction, and of clean ones."""

import tracemalloc

import numpy as np
import pytest
from support.saturated import RATE, limited, music

from distortion_removal.declipping.knees import find_knees, knee_signs
from distortion_removal.declipping.plateaus import find_plateaus


def found(*channels, size=100_000):
  sound = np.stack(channels, axis=1)

  def read():
    return iter(np.array_split(sound, max(1, len(sound) // size)))

  return find_knees(read, find_plateaus(read))


def test_knees_of_each_channel_and_polarity():
  """A knee found lies at three quarters of its own peak, or below."""
  upper = limited(music(), 0.12, 0.2)
  both = -limited(-limited(music(3), 0.12, 0.2), 0.1, 0.15)
  clean = music(2)
  knees = found(clean, upper, both)
  np.testing.assert_array_equal(knees.low < -1, [True, True, False])
  np.testing.assert_array_equal(knees.high > 1, [True, False, False])
  np.testing.assert_array_equal(
    knees.is_strong, [[False, False, True], [False, True, True]]
  )
  for level, top in zip(
    [knees.high[1], knees.high[2], -knees.low[2]],
    [0.2, 0.2, 0.15],
    strict=True,
  ):
    assert 0.55 * top < level < 0.76 * top


def test_a_knee_scales_with_the_recording_and_follows_its_offset():
  sound = limited(music(), 0.12, 0.2)
  one = found(sound)
  for gain, offset in ((0.01, 0.0), (3.0, 0.0), (1.0, 0.05)):
    other = found(gain * sound + offset)
    np.testing.assert_allclose(other.high, gain * one.high + offset, rtol=1e-3)
    assert other.is_strong[1, 0]


@pytest.mark.parametrize("size", [1_000, 5_000, 1 << 20])
def test_blocks_do_not_matter(size):
  sound = limited(music(seconds=3), 0.12, 0.2)
  for x, y in zip(found(sound), found(sound, size=size), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-12)


def _tone(cycles=220.0, gain=1.0):
  time = np.arange(4 * RATE) / RATE
  return np.tanh(gain * np.sin(2 * np.pi * cycles * time)) / gain


@pytest.mark.parametrize(
  "sound",
  [
    music(3),
    music(4) ** 3,
    _tone(gain=0.01),
    # Of one loudness, a saturated tone is another tone.
    _tone(gain=2.0),
    _tone() * np.exp(-np.arange(4 * RATE) / RATE),
    np.random.default_rng(0).laplace(size=4 * RATE),
    np.random.default_rng(0).uniform(-1, 1, size=4 * RATE),
    np.zeros(RATE),
    np.ones(3),
  ],
)
def test_no_strong_evidence_in_sounds_that_are_not_saturated(sound):
  assert not found(sound).is_strong.any()


def test_a_plateau_is_no_knee_but_may_lie_beyond_one():
  sound = music()
  hard = np.clip(sound, -0.1, 0.15)
  soft = limited(sound, 0.03, 0.1)
  knees = found(hard, np.minimum(soft, 0.99 * soft.max()))
  assert np.isinf([knees.low[0], knees.high[0]]).all()
  assert knees.is_strong.tolist() == [[False, False], [False, True]]
  assert 0.055 < knees.high[1] < 0.076


def test_sides_of_the_same_peak_share_a_knee():
  """Silence on one of them hides its own, as only a few samples reach it."""
  sound = limited(music(), 0.12, 0.2)
  rare = np.where(np.arange(len(sound)) < 4_000, sound, 0.01 * music(1))
  rare[2_000] = sound.max()
  alone, both = found(rare), found(rare, sound)
  assert np.isinf(alone.high)
  np.testing.assert_allclose(both.high[0], both.high[1], rtol=0.02)
  assert both.is_strong[1].tolist() == [False, True]


def test_coarse_steps_tell_nothing():
  sound = limited(music(), 0.12, 0.2)
  assert np.isinf(found(np.round(sound * 128) / 128).high)
  assert np.isfinite(found(np.round(sound * 32_768) / 32_768).high)


def test_signs_are_those_of_the_samples_beyond():
  block = np.array([[-0.6, 0.2], [-0.5, 0.3], [0.1, 0.29], [0.5, -9.0]])
  signs = knee_signs(block, np.array([-0.5, -np.inf]), np.array([0.5, 0.3]))
  expected = [[-1, 0], [-1, 1], [0, 0], [1, 0]]
  np.testing.assert_array_equal(signs, expected)
  assert signs.dtype == np.int8


@pytest.mark.e2e
def test_memory_does_not_grow_with_the_length():
  part = limited(music(), 0.12, 0.2)[:, None]
  most = {}
  for count in (8, 32):

    def read(count=count):
      return (part for _ in range(count))

    plateaus = find_plateaus(read)
    tracemalloc.start()
    assert find_knees(read, plateaus).is_strong[1, 0]
    _, most[count] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
  assert most[32] < 1.25 * most[8]
