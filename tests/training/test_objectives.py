"""What is compared with what, and what changes beside the parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.training import losses, objectives


class Toy(nn.Module):
  """Every output that an objective may ask for, each a different function."""

  @nn.compact
  def __call__(self, audio, train=False):
    gain = self.param("gain", nn.initializers.constant(2.0), ())
    seen = self.variable("batch_stats", "seen", jnp.zeros, ())
    if train:
      seen.value = seen.value + 1.0
    return nn.Dropout(0.5, deterministic=not train)(gain * audio)

  def magnitudes(self, audio, train=False):
    return 3.0 * jnp.abs(self(audio, train))

  def transform(self, audio):
    return jnp.abs(audio) + 1.0

  def autoencode(self, audio):
    return audio - 0.25


VARIABLES = {
  "params": {"gain": jnp.float32(2.0)},
  "batch_stats": {"seen": jnp.float32(5.0)},
}
DEGRADED, CLEAN = jnp.full((1, 8, 1), 0.5), jnp.full((1, 8, 1), -0.3)
KEY = jax.random.key(3)


@pytest.mark.parametrize("name", ["waveform", "magnitudes"])
def test_supervised_objectives(name):
  dropped, _ = Toy().apply(
    VARIABLES,
    DEGRADED,
    train=True,
    rngs={"dropout": KEY},
    mutable=["batch_stats"],
  )
  assert set(np.unique(dropped)) == {0.0, 2.0}  # twice the kept, and zeros
  estimate, target = {
    "waveform": (dropped, -0.3),
    "magnitudes": (3.0 * dropped, 1.3),
  }[name]
  objective = objectives.create(name, Toy(), "l2")
  value, changed = objective(VARIABLES, DEGRADED, CLEAN, KEY)
  assert value == pytest.approx(np.mean((estimate - target) ** 2))
  assert changed == {"batch_stats": {"seen": 6.0}}


def test_an_autoencoder_sees_both_sides_and_changes_no_statistics():
  seen = []

  def loss(estimate, target):
    seen.append(target)
    return losses.l1(estimate, target)

  objective = objectives.autoencoder(Toy(), loss)
  value, changed = objective(VARIABLES, DEGRADED, CLEAN, KEY)
  assert value == pytest.approx(0.25)
  np.testing.assert_array_equal(seen[0], [DEGRADED[0], CLEAN[0]])
  assert changed == {"batch_stats": {"seen": 5.0}}


def test_a_loss_of_waveforms_is_not_taken_of_spectrograms():
  with pytest.raises(UserError, match="'magnitudes' choose l1 or l2"):
    objectives.create("magnitudes", Toy(), "l1 + magnitude_l2")
