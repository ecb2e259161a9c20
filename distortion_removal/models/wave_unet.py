"""Wave-U-Net, a U-net of plain convolutions on the waveform.

D. Stoller, S. Ewert, S. Dixon, "Wave-U-Net: A Multi-Scale Neural Network for
End-to-End Audio Source Separation", ISMIR 2018 (arXiv 1806.03185), with one
source. Levels decimate by two without a filter and interpolate on the way
back. Where the paper leaves the details open they are those of its authors'
TensorFlow 1 network: the right edge of an interpolation and the initialisation.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.layers import (
  ODD,
  block,
  centre_trim,
  check_fields,
  convolve,
  one_of,
  symmetric_uniform,
)


class Convolution(nn.Module):
  """Convolution over time with a bias, initialised as TensorFlow 1 does.

  The kernel is drawn from U(-b, b), b = sqrt(6 / (fan_in + fan_out)) (Glorot
  and Bengio, 2010), and the bias is zero.

  Attributes:
    features: output channels.
    taps: kernel size, odd.
    padding: `same` keeps the time, `valid` shortens it by taps - 1.
    dtype: type of the computation.
  """

  features: int
  taps: int
  padding: str = "same"
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[batch, time, in]` to `[batch, frames, features]`."""
    shape = (self.taps, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
    if self.padding == "same":
      margin = self.taps // 2
      x = jnp.pad(x, ((0, 0), (margin, margin), (0, 0)))
    return convolve(x, kernel) + bias


class Upsampling(nn.Module):
  """Inserts between every two steps a mean, plain or learned (section 3.2.2).

  The learned one is a x[n] + (1 - a) x[n + 1] with a = sigmoid(`weight`), a
  parameter for every feature. `same` interpolates after the last step, too,
  as if it were followed by itself (linear) or by zero (learned).

  Attributes:
    learned: learns the interpolation.
    padding: `same` makes 2 n steps of n, `valid` 2 n - 1.
  """

  learned: bool = False
  padding: str = "same"

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[batch, time, features]` to twice the time."""
    batch, time, features = x.shape
    weight, last = 0.5, x[:, -1:]
    if self.learned:
      # Glorot's, as TensorFlow takes a vector: fan_in = fan_out = features.
      init = symmetric_uniform(math.sqrt(3 / features))
      weight = nn.sigmoid(self.param("weight", init, (features,)))
      weight, last = weight.astype(x.dtype), jnp.zeros_like(last)
    following = jnp.concatenate([x[:, 1:], last], 1)
    between = weight * x + (1 - weight) * following
    x = jnp.stack([x, between], 2).reshape(batch, 2 * time, features)
    return x if self.padding == "same" else x[:, :-1]


class WaveUNet(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 10,263,002 parameters. The output lies in [-1, 1] unless
  it is a difference.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    levels: number of decimations by two.
    filters: features of the first level; level i has i times as many.
    down_taps: kernel size of the encoder and the bottleneck, odd.
    up_taps: kernel size of the decoder, odd.
    padding: `same` pads every layer with zeros; `valid` pads only the audio,
      so that every layer sees its full context (section 3.2.1 of the paper).
    upsampling: `linear` or `learned` interpolation, see `Upsampling`.
    output: `direct` estimates the clean audio, `difference` what to subtract
      from the degraded audio.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  levels: int = 12
  filters: int = 24
  down_taps: int = 15
  up_taps: int = 5
  padding: str = "same"
  upsampling: str = "linear"
  output: str = "direct"
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    check_fields(
      self,
      down_taps=ODD,
      up_taps=ODD,
      padding=one_of("same", "valid"),
      upsampling=one_of("linear", "learned"),
      output=one_of("direct", "difference"),
    )

  @property
  def hop(self) -> int:
    """Samples between two steps of the deepest level."""
    return 2**self.levels

  @property
  def context(self) -> tuple[int, int]:
    """Samples before and after that an output sample can depend on.

    The reach from the grid of the deepest level, and one step more for samples
    that are interpolated between two of that grid.
    """
    reach = self._reach + self.hop - 1
    return reach, reach

  @property
  def _reach(self) -> int:
    """Samples that all unpadded layers together take away at either end."""
    # Tap distances double with every level: from 1 to `hop` in the encoder and
    # bottleneck, to half of it in the decoder.
    encoder = (self.down_taps // 2) * (2 * self.hop - 1)
    return encoder + (self.up_taps // 2) * (self.hop - 1)

  @nn.nowrap
  def _margins(self, length: int) -> tuple[int, int]:
    """Returns how many zeros come before and after `length` samples."""
    if self.padding == "same":
      return 0, -length % self.hop
    # The network's output lengths are up_taps plus a multiple of the hop.
    rest = (self.up_taps - length) % self.hop
    return self._reach, self._reach + rest

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples the network works on, with its zeros."""
    return length + sum(self._margins(length))

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Restores audio; `train` makes no difference."""
    length = audio.shape[1]
    padded = jnp.pad(audio, ((0, 0), self._margins(length), (0, 0)))
    estimate = self._u_net(padded.astype(self.dtype))[:, :length]
    estimate = jnp.tanh(estimate.astype(jnp.float32))
    return audio - estimate if self.output == "difference" else estimate

  def _u_net(self, audio: jax.Array) -> jax.Array:
    """Applies the network without its padding and output function."""

    def conv(name, features, taps, x):
      return Convolution(features, taps, self.padding, self.dtype, name=name)(x)

    def rectified_conv(*arguments):
      return nn.leaky_relu(conv(*arguments), negative_slope=0.2)

    def down(level):
      features, taps = filters * level, self.down_taps
      return lambda _, x: rectified_conv(f"down_{level}", features, taps, x)

    def up(level):
      def interpolate_and_convolve(_, inputs):
        skip, x = inputs
        name = f"interpolation_{level}"
        x = merge(skip, Upsampling(learned, self.padding, name=name)(x))
        return rectified_conv(f"up_{level}", filters * level, self.up_taps, x)

      return interpolate_and_convolve

    def merge(skip, x):
      return jnp.concatenate([centre_trim(skip, x.shape[1]), x], -1)

    x, skips, filters = audio, [], self.filters
    learned = self.upsampling == "learned"
    for level in range(1, self.levels + 1):
      x = block(self, down(level), x)
      skips.append(x)
      x = x[:, ::2]
    features = filters * (self.levels + 1)
    x = rectified_conv("bottleneck", features, self.down_taps, x)
    for level in range(self.levels, 0, -1):
      x = block(self, up(level), (skips.pop(), x))
    return conv("output", self.audio_channels, 1, merge(audio, x))
