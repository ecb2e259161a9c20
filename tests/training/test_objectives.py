"""What is compared with what, and what changes beside the parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distortion_removal import models
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


def _dropped():
  """What the network gives with that key: twice the kept, and zeros."""
  output, _ = Toy().apply(
    VARIABLES,
    DEGRADED,
    train=True,
    rngs={"dropout": KEY},
    mutable=["batch_stats"],
  )
  assert set(np.unique(output)) == {0.0, 2.0}
  return np.asarray(output)


def test_waveforms():
  objective = objectives.get("waveform", Toy(), "l1")
  value, changed = objective(VARIABLES, DEGRADED, CLEAN, KEY)
  assert value == pytest.approx(np.mean(np.abs(_dropped() + 0.3)))
  assert changed == {"batch_stats": {"seen": 6.0}}


def test_magnitudes():
  objective = objectives.get("magnitudes", Toy(), "l2")
  value, changed = objective(VARIABLES, DEGRADED, CLEAN, KEY)
  assert value == pytest.approx(np.mean((3.0 * _dropped() - 1.3) ** 2))
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


def test_a_network_without_the_output_is_refused():
  demucs = models.create("demucs")
  for name in ("magnitudes", "autoencoder", "spectrum"):
    with pytest.raises(UserError, match="a Demucs can be trained on waveform;"):
      objectives.get(name, demucs, "l2")


@pytest.mark.parametrize("loss", ["neg_sdr", "l1 + magnitude_l2"])
def test_a_loss_of_waveforms_is_not_taken_of_spectrograms(loss):
  with pytest.raises(UserError, match="'magnitudes' choose l1 or l2"):
    objectives.get("magnitudes", Toy(), loss)
