"""The registry of effects, and what all of them have in common."""

import functools
import inspect

import jax
import numpy as np
import pytest

from distortion_removal import effects
from distortion_removal.effects import tasks

# A sine that dies away.
N = np.arange(48)
DECAY = np.float32(0.5 * np.sin(0.3 * N) * np.exp(-N / 40))
# Samples 0, 4, 9 and 25 of what each effect makes of it, with the seed 5.
GOLDEN = {
  "overdrive": (25.0, [0, 0.703373, 0.565664, 0.618904]),
  "hard_clip": (25.0, [0, 1, 1, 1]),
  "hard_clip_sdr": (7.0, [0, 0.164917, 0.164917, 0.164917]),
  "tanh": (25.0, [0, 0.999999, 0.995382, 0.999735]),
  "arctan": (25.0, [0, 0.946081, 0.868345, 0.909821]),
  "diode": (25.0, [0, 0.982723, 0.937112, 0.955735]),
  "foldback": (15.0, [0, -0.371235, 0.959550, 0.588312]),
  "bit_crush": (4.0, [0, 0.375, 0.125, 0.25]),
  "random_distortion": (25.0, [0.028624, 0.860760, 0.142533, 1.052422]),
}


@functools.cache
def jitted(name):
  return jax.jit(functools.partial(effects.apply, effects.get(name)))


def stereo_batch(name):
  """Three items `[3, time, 2]`, their levels and their seeds."""
  audio = np.random.default_rng(0).uniform(-0.5, 0.5, (3, len(N), 2))
  levels = tasks.get(name).evaluation_levels
  levels = np.float32([levels[-1], levels[0], levels[2]])
  return np.float32(audio), levels, np.uint32([5, 6, 7])


@pytest.mark.parametrize("name", GOLDEN)
def test_output_is_pinned_and_does_not_depend_on_other_items(name):
  """Two more items in a batch of one shape, so that each effect compiles once.

  Channels are independent, too, but where they share a level to be met.
  """
  level, expected = GOLDEN[name]
  audio, levels, seeds = stereo_batch(name)
  audio[0] = DECAY[:, None]
  levels[0], seeds[0] = level, 5
  apply = jitted(name)
  together = np.asarray(apply(audio, levels, seeds))
  assert together.dtype == np.float32
  for channel in range(2):
    actual = np.take(together[0, :, channel], [0, 4, 9, 25])
    np.testing.assert_allclose(actual, expected, atol=5e-6)
  back = apply(audio[::-1], levels[::-1], seeds[::-1])[::-1]
  np.testing.assert_allclose(back, together, atol=1e-5)
  if name != "hard_clip_sdr":
    audio[1, :, 1] = 0.1
    changed = apply(audio, levels, seeds)
    np.testing.assert_allclose(changed[1, :, 0], together[1, :, 0], atol=1e-5)
  # Levels and seeds compile nothing.
  assert apply._cache_size() == 1


@pytest.mark.parametrize("name", GOLDEN)
def test_silence_stays_and_vmap_is_a_batch(name):
  audio, levels, seeds = stereo_batch(name)
  audio[1] = 0
  apply = jitted(name)
  together = apply(audio, levels, seeds)
  mapped = jax.jit(jax.vmap(apply))(audio, levels, seeds)
  np.testing.assert_allclose(mapped, together, atol=1e-4)
  assert np.abs(together[1]).max() == pytest.approx(0, abs=1e-6)


def test_only_what_draws_takes_the_seed():
  assert set(effects.EFFECTS) == {*GOLDEN, "recorded"}
  taking = [name for name, e in effects.EFFECTS.items() if e.takes_seed]
  assert taking == ["random_distortion"]
  audio, levels, seeds = stereo_batch("random_distortion")
  apply = jitted("random_distortion")
  one, other = (apply(audio, levels, seeds + i) for i in (0, 1))
  assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("name", GOLDEN)
def test_options_are_the_keyword_arguments(name):
  effect = effects.get(name)
  parameters = inspect.signature(effect.apply).parameters.values()
  keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
  assert keywords.keys() == {option.name for option in effect.options}
  for option in effect.options:
    default = np.atleast_1d(keywords[option.name])
    assert len(default) == option.count
    assert all(map(option.allows, default))
