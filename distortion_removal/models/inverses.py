"""A network that weighs and corrects inverses of the overdrive.

SoX's overdrive can be undone exactly where gain and scale are known (see
`effects.invertible`). An inverse at a gain that is off by 4 dB still has 15 to
47 dB of SI-SDR, for where the curve is at its rail the gain hardly matters. So
the network is given the inverses a_k at gains that it does not have to choose
between once and for all, and learns how to weigh them, sample by sample, and
what to add:

    x = sum_k w_k a_k + s c,   sum_k w_k = 1,   s^2 = <(a_k - m)^2> + floor

with their mean m and a local mean <.> over time and inverses. Weights w and
correction c come from a U-net, whose last layer is zero at first: training
starts with the mean of the inverses.

It expects the scale of the effect itself, at which its rail adds 0.5 to half of
the clean signal; recordings of any level are brought to it before, see
`inference.restoration`. Ours; it has no other source.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.effects.invertible import OVERDRIVE, Parameters, invert
from distortion_removal.effects.level import gain_factor
from distortion_removal.models.u_net import Corrector, local_mean, weigh

_FLOOR = 1e-10  # of mean squares: −100 dB


class Inverses(Corrector):
  """Maps overdriven audio to clean audio; channels one by one.

  Attributes:
    gains_db: of the inverses; the others, see `Corrector`.
  """

  gains_db: tuple[float, ...] = (18, 23, 28, 33, 38, 43, 48, 53)

  @property
  def context(self) -> None:
    """Unlimited: the overdrive's DC blocker remembers all of the past."""
    return None

  @property
  def _gains(self) -> jax.Array:
    """Factors before the curve, `[gains]`."""
    return gain_factor(jnp.asarray(self.gains_db, jnp.float32))[:, 0, 0]

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, channels]` to the same; `train` has no effect."""
    x = self.one_by_one(audio)
    inverses = lax.stop_gradient(self._inverses(x))
    features, scale = self._features(x, inverses)
    output = self.correct(features, 1 + len(self.gains_db))
    return self.together(weigh(output, inverses, scale), audio.shape[1])

  def _inverses(self, audio: jax.Array) -> jax.Array:
    """Maps `[batch, time, 1]` to `[batch, time, gains]`."""
    parameters = Parameters(self._gains)
    signal, _ = invert(OVERDRIVE, audio.swapaxes(0, 1), parameters)
    return signal.swapaxes(0, 1)

  def _features(
    self, audio: jax.Array, inverses: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Returns what the U-net sees, and the scale of its correction."""
    mean = jnp.mean(inverses, -1, keepdims=True)
    spread = jnp.mean((inverses - mean) ** 2, -1, keepdims=True)
    local = jnp.concatenate([spread, inverses**2], -1)
    local = jnp.sqrt(local_mean(local, self.hop, self.level_hops) + _FLOOR)
    slow = jnp.concatenate([jnp.log(local[..., :1]), local], -1)
    slow = jnp.repeat(slow, self.hop, 1)
    log_scale, scale, rms = slow[..., :1], slow[..., 1:2], slow[..., 2:]
    features = [
      audio,
      log_scale,
      (inverses - mean) / scale,
      inverses / rms,
      jnp.clip(
        self._gains * inverses, -1.0, 1.0
      ),  # what the curve is driven with
    ]
    return jnp.concatenate(features, -1), scale
