"""A network that corrects audio: it starts as the identity.

    y = g (x + s c),   s^2 = <x^2> + (l / 100)^2,   g = exp <a>

with local means <.>, the level l of the loudest place, which for distorted
audio is about that of its plateaus, and a correction c and log gain a from a
U-net, whose last layer is zero at first. What needs no correction is easily
left as it is, a decay that the distortion has levelled is easily given back,
and the level of a recording does not matter. Ours; it has no other source.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.u_net import Corrector, local_mean

_SILENCE = 1e-10  # mean square, −100 dB
_GAIN_HOPS = 2  # on either side that a gain is averaged over
_QUIET = 1e-4  # of the loudest place's mean square, −40 dB


class Correction(Corrector):
  """Maps audio to audio of the same shape; attributes: see `Corrector`."""

  sample_rate: int = 44_100
  level_samples: int = 2048

  @property
  def context(self) -> None:
    """Unlimited: the loudest place is that of the whole recording."""
    return None

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, channels]` to the same; `train` has no effect."""
    x = self.one_by_one(audio)
    power = local_mean(x**2, self.hop, self.level_hops)
    loudest = jnp.max(power, 1, keepdims=True) + _SILENCE
    log_level = jnp.log(power / loudest + _QUIET)
    scale = jnp.sqrt(power + _QUIET * loudest)
    log_level, scale = (jnp.repeat(y, self.hop, 1) for y in (log_level, scale))
    features = [x / jnp.sqrt(loudest), x / scale, log_level]
    output = self.correct(jnp.concatenate(features, -1), 2)
    log_gain = local_mean(output[..., 1:], self.hop, _GAIN_HOPS)
    gain = jnp.repeat(jnp.exp(log_gain), self.hop, 1)
    result = (gain * (x + scale * output[..., :1])).swapaxes(1, 2)
    return self.together(result, audio.shape[1])
