"""The registry of effects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal import effects
from distortion_removal.common import errors


@pytest.mark.parametrize(
  ("name", "level_name", "level", "expected"),
  [
    # The first sample by hand: d = 2/3 once 10 x 0.2 is beyond 1.
    ("overdrive", "gain_db", 20.0, 0.5 * 0.2 + 0.75 * 2 / 3),
    ("hard_clip", "gain_db", 20.0, 1.0),
    # Of one sample the residual is x - y, so y = x (1 - 10^(-SDR / 20)).
    ("hard_clip_sdr", "input_sdr_db", 20.0, 0.2 * 0.9),
  ],
)
def test_each_effect_applies_its_level(name, level_name, level, expected):
  effect = effects.get(name)
  assert effect.level_name == level_name
  assert effect.unit == "dB"
  actual = effect.apply(jnp.full((1, 1, 1), 0.2), level)
  np.testing.assert_allclose(actual[0, 0, 0], expected, rtol=1e-6)


# Samples 0, 4, 9 and 25 of what each effect makes of `decay()`, seed 5.
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


def decay():
  """A sine that dies away, `[1, 48, 1]`."""
  n = np.arange(48)
  audio = 0.5 * np.sin(0.3 * n) * np.exp(-n / 40)
  return jnp.float32(audio)[None, :, None]


@pytest.mark.parametrize("name", GOLDEN)
def test_output_is_pinned(name):
  level, expected = GOLDEN[name]
  seed = jnp.uint32([5])
  effect = effects.get(name)
  actual = jax.jit(effects.apply, static_argnums=0)(
    effect, decay(), level, seed
  )
  actual = np.take(actual[0, :, 0], [0, 4, 9, 25])
  np.testing.assert_allclose(actual, expected, atol=5e-6)


def test_all_effects_are_pinned_but_what_was_recorded():
  assert set(effects.EFFECTS) == {*GOLDEN, "recorded"}


def test_only_what_draws_takes_the_seed():
  taking = [name for name, e in effects.EFFECTS.items() if e.takes_seed]
  assert taking == ["random_distortion"]
  audio, effect = decay(), effects.get("random_distortion")
  one, other = (effects.apply(effect, audio, 25.0, seed) for seed in (1, 2))
  assert np.abs(one - other).max() > 0.1


def test_the_crush_counts_bits():
  effect = effects.get("bit_crush")
  assert (effect.level_name, effect.unit) == ("bits", "bit")


def test_nothing_is_applied_to_what_was_recorded():
  with pytest.raises(ValueError, match="recorded"):
    effects.apply(effects.get("recorded"), decay(), 0.0, 0)


def test_unknown_name_lists_the_known():
  with pytest.raises(errors.UserError, match=r"'fuzz'.*hard_clip, .*overdrive"):
    effects.get("fuzz")
