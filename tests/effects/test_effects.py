"""The registry of effects."""

import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal import effects, errors


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


def test_unknown_name_lists_the_known():
  with pytest.raises(errors.UserError, match=r"'fuzz'.*hard_clip, .*overdrive"):
    effects.get("fuzz")
