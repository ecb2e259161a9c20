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

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.effects.invertible import OVERDRIVE, Parameters, invert
from distortion_removal.effects.level import gain_factor
from distortion_removal.models.layers import check_fields
from distortion_removal.models.u_net import local_mean, u_net

_FLOOR = 1e-10  # of mean squares: −100 dB


class Inverses(nn.Module):
  """Maps overdriven audio to clean audio; channels one by one.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    gains_db: of the inverses.
    channels: features of each level, the first at the rate over `stride`.
    stride: samples, or steps, that are one step of the next level.
    taps: kernel size of the outer levels.
    dilations: of the deepest level's blocks.
    level_samples: length of the local mean.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  gains_db: tuple[float, ...] = (18, 23, 28, 33, 38, 43, 48, 53)
  channels: tuple[int, ...] = (32, 80, 160)
  stride: int = 4
  taps: int = 5
  dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
  level_samples: int = 1024
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    check_fields(self)

  @property
  def hop(self) -> int:
    """Samples of a step of the deepest level."""
    return self.stride ** len(self.channels)

  @property
  def context(self) -> None:
    """Unlimited: the overdrive's DC blocker remembers all of the past."""
    return None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples the network works on, with its zeros."""
    return length + -length % self.hop

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[batch, time, channels]` to the same; `train` has no effect."""
    batch, length, _ = audio.shape
    x = audio.swapaxes(1, 2).reshape(-1, length, 1)
    x = jnp.pad(x, ((0, 0), (0, -length % self.hop), (0, 0)))
    inverses = lax.stop_gradient(self._inverses(x))
    features, scale = self._features(x, inverses)
    output = u_net(
      features,
      1 + len(self.gains_db),
      channels=self.channels,
      stride=self.stride,
      taps=self.taps,
      dilations=self.dilations,
      dtype=self.dtype,
      remat=self.remat,
    )
    # Time last: these are few channels for a CPU to work on side by side.
    output, inverses = output.swapaxes(1, 2), inverses.swapaxes(1, 2)
    weights = nn.softmax(output[:, 1:], 1)
    estimate = jnp.sum(weights * inverses, 1)
    estimate += scale[..., 0] * output[:, 0]
    result = estimate[:, :length].reshape(batch, self.audio_channels, length)
    return result.swapaxes(1, 2)

  def _inverses(self, audio: jax.Array) -> jax.Array:
    """Maps `[batch, time, 1]` to `[batch, time, gains]`."""
    gains = gain_factor(jnp.asarray(self.gains_db, jnp.float32))[:, 0, 0]
    signal, _ = invert(OVERDRIVE, audio.swapaxes(0, 1), Parameters(gains))
    return signal.swapaxes(0, 1)

  def _features(
    self, audio: jax.Array, inverses: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Returns what the U-net sees, and the scale of its correction."""
    mean = jnp.mean(inverses, -1, keepdims=True)
    spread = jnp.mean((inverses - mean) ** 2, -1, keepdims=True)
    hops = math.ceil(self.level_samples / 2 / self.hop)
    local = jnp.concatenate([spread, inverses**2], -1)
    local = jnp.sqrt(local_mean(local, self.hop, hops) + _FLOOR)
    slow = jnp.concatenate([jnp.log(local[..., :1]), local], -1)
    slow = jnp.repeat(slow, self.hop, 1)
    log_scale, scale, rms = slow[..., :1], slow[..., 1:2], slow[..., 2:]
    gains = gain_factor(jnp.asarray(self.gains_db, jnp.float32))[:, 0, 0]
    features = [
      audio,
      log_scale,
      (inverses - mean) / scale,
      inverses / rms,
      jnp.clip(gains * inverses, -1.0, 1.0),  # what the curve is driven with
    ]
    return jnp.concatenate(features, -1), scale
