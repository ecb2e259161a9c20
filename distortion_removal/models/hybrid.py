"""A network that corrects the estimates of declippers where audio is clipped.

It is given the audio in units of its rail, which samples are clipped, and what
several declippers made of it; it learns how to weight these, sample by sample,
and what to add:

    y = P(sum_k w_k a_k + s c),   sum_k w_k = 1,   s^2 = <(m - x)^2> + l^2

with the audio x, the estimates a_k and their mean m, a local mean <.> over
clipped samples, and the projection P on what agrees with the audio (see
`consistency`). l is the local level that the share p of clipped samples tells:
amplitudes of music are about Laplacian, so that p = exp(-rail / l), and l =
-1 / ln p in units of the rail is by how much they exceed it. A correction on
this scale moves a decibel about as far at every level; on the scale of the
audio, lightly clipped pairs are all that is learnt from. Weights w and
correction c come from a U-net, whose last layer is zero at first: training
starts with the mean of the declippers.

The idea of a network behind an iterative declipper has no single source.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.consistency import project
from distortion_removal.models.u_net import Corrector, local_mean, weigh

# Bounds of the share of clipped samples from which a level is derived.
_SHARES = (1e-3, 0.98)
_FLOOR = 1e-6  # of mean squares


class Hybrid(Corrector):
  """Maps clipped audio and estimates to audio; channels one by one.

  Attributes:
    estimates: number of estimates of each channel; the others, see `Corrector`.
  """

  estimates: int = 2

  @property
  def input_channels(self) -> int:
    """Channels of `[audio, signs, estimates…]`."""
    return (2 + self.estimates) * self.audio_channels

  @property
  def context(self) -> tuple[int, int]:
    """Samples before and after that an output sample can depend on."""
    samples = self.reach + self.level_hops * self.hop
    return samples, samples

  @nn.compact
  def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, input_channels]` to `[batch, time, channels]`.

    All are in units of the rail; `train` makes no difference.
    """
    x = self.one_by_one(inputs, 2 + self.estimates)
    audio, signs, estimates = x[..., :1], x[..., 1:2], x[..., 2:]
    features, scale = self._features(audio, signs, estimates)
    output = self.correct(features, 1 + self.estimates)
    estimate = weigh(output, estimates, scale)
    result = project(estimate, audio.swapaxes(1, 2), signs.swapaxes(1, 2))
    return self.together(result, inputs.shape[1])

  def _features(
    self, audio: jax.Array, signs: jax.Array, estimates: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Returns what the U-net sees, and the scale of its correction."""
    above, below = jnp.float32(signs > 0), jnp.float32(signs < 0)
    clipped = above + below
    mean = jnp.mean(estimates, -1, keepdims=True)
    excess = clipped * (mean - audio) ** 2
    local = [clipped, excess, estimates**2]
    local = jnp.concatenate(local, -1)
    local = local_mean(local, self.hop, self.level_hops)
    share, excess, squares = local[..., :1], local[..., 1:2], local[..., 2:]
    share = jnp.clip(share, *_SHARES)
    level = -1 / jnp.log(share)
    scale = jnp.sqrt(excess / share + (share * level) ** 2)
    rms = jnp.sqrt(squares + _FLOOR)
    slow = jnp.concatenate([jnp.log(level), jnp.log(scale), scale, rms], -1)
    slow = jnp.repeat(slow, self.hop, 1)
    logs, scale, rms = slow[..., :2], slow[..., 2:3], slow[..., 3:]
    features = [
      audio,
      above,
      below,
      logs,
      (estimates - audio) / scale,
      estimates / rms,
      jnp.arcsinh(estimates),
    ]
    return jnp.concatenate(features, -1), scale
