"""Demucs, the network that restores a waveform from the waveform.

A. Défossez, N. Usunier, L. Bottou, F. Bach, "Music Source Separation in the
Waveform Domain", 2019 (arXiv 1911.13254), its second version, with one source:
a U-net of strided convolutions with gated linear units and a bidirectional
LSTM in the middle; no mask and no normalisation layers.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.models.layers import (
  NOT_NEGATIVE,
  ODD,
  block,
  centre_trim,
  check_fields,
  convolve,
  convolve_transposed,
  one_of,
  symmetric_uniform,
)
from distortion_removal.models.recurrence import BiLSTM
from distortion_removal.models.resample import downsample, upsample

# Added to the standard deviation that the input is divided by.
_EPSILON = 1e-5


class Convolution(nn.Module):
  """A convolution, or its adjoint, with a bias and the paper's initialisation.

  Kernel and bias are drawn as PyTorch draws them, from U(-b, b) with
  b = 1 / sqrt(fan_in), and divided by s = sqrt(std(kernel) / rescale)
  (section 4.1 of the paper).

  Attributes:
    features: output channels.
    taps: kernel size.
    stride: as in `convolve` and `convolve_transposed`.
    transposed: takes `convolve_transposed`.
    rescale: the paper's reference, 0.1; 0 leaves s = 1.
    dtype: type of the computation.
  """

  features: int
  taps: int
  stride: int = 1
  transposed: bool = False
  rescale: float = 0.1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps `[batch, time, in]` to `[batch, frames, features]`."""
    shape = (self.taps, x.shape[-1], self.features)
    if self.transposed:
      shape = (self.taps, self.features, x.shape[-1])
    # PyTorch's fan-in is the second axis also of a transposed convolution.
    uniform = symmetric_uniform((shape[0] * shape[1]) ** -0.5)

    def init_kernel(key, shape):
      kernel = uniform(key, shape)
      s = jnp.sqrt(kernel.std(ddof=1) / self.rescale) if self.rescale else 1.0
      return kernel / s

    def init_bias(key, shape):
      # The kernel's deviation is sqrt(std * rescale) by now, which gives s:
      s = kernel.std(ddof=1) / self.rescale if self.rescale else 1.0
      return uniform(key, shape) / s

    kernel = self.param("kernel", init_kernel, shape)
    bias = self.param("bias", init_bias, (self.features,))
    x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
    product = convolve_transposed if self.transposed else convolve
    return product(x, kernel, self.stride) + bias


class Demucs(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 265,675,393 parameters.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    channels: features of the first encoder layer.
    growth: ratio of the features of successive encoder layers.
    depth: number of encoder layers.
    kernel_size: taps of the strided convolutions.
    stride: decimation of one layer.
    decoder_taps: taps of the decoder's gated convolutions, an odd number.
    lstm_layers: BiLSTM layers in the middle; 0 leaves it out.
    resample: works at twice the sampling rate.
    normalize: works on zero mean and unit variance, undone at the output.
    decoder_padding: padding of the gated convolutions: `same` (as in Demucs
      v4), or `valid`, which shows the network no padding (v2) at the cost of
      working on more samples.
    rescale: see `Convolution`.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  dtype: Any = jnp.float32
  remat: bool = False
  channels: int = 64
  growth: float = 2.0
  depth: int = 6
  kernel_size: int = 8
  stride: int = 4
  decoder_taps: int = 3
  lstm_layers: int = 2
  resample: bool = True
  normalize: bool = True
  decoder_padding: str = "same"
  rescale: float = 0.1

  def __post_init__(self):
    super().__post_init__()
    check_fields(
      self,
      decoder_taps=ODD,
      lstm_layers=NOT_NEGATIVE,
      growth=(lambda x: x >= 1, "at least 1"),
      decoder_padding=one_of("same", "valid"),
      rescale=NOT_NEGATIVE,
    )

  @property
  def hop(self) -> int:
    """Samples between two steps of the deepest layer."""
    stride = self.stride**self.depth
    return stride // math.gcd(stride, 2 if self.resample else 1)

  @property
  def context(self) -> None:
    """Unlimited: the BiLSTM and the normalisation see the whole recording."""
    return None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the shortest padded length of which no stride leaves a rest."""
    rate = 2 if self.resample else 1
    length *= rate
    for _ in range(self.depth):
      length = max(1, math.ceil((length - self.kernel_size) / self.stride) + 1)
      length += self.decoder_taps - 1 - 2 * self._margin
    for _ in range(self.depth):
      length = (length - 1) * self.stride + self.kernel_size
    return math.ceil(length / rate)

  @property
  def _margin(self) -> int:
    """Padding of the decoder's gated convolutions on either side."""
    return self.decoder_taps // 2 if self.decoder_padding == "same" else 0

  @nn.compact
  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Restores audio; no layer behaves differently in training."""
    del train
    length = audio.shape[1]
    if self.normalize:
      mono = audio.mean(-1, keepdims=True)
      mean = mono.mean(1, keepdims=True)
      # One sample alone has no deviation.
      std = mono.std(1, keepdims=True, ddof=min(1, length - 1))
      audio = (audio - mean) / (std + _EPSILON)
    padding = self.valid_length(length) - length
    sides = (padding // 2, padding - padding // 2)
    audio = jnp.pad(audio, ((0, 0), sides, (0, 0)))
    x = upsample(audio) if self.resample else audio
    x = self._u_net(x.astype(self.dtype)).astype(jnp.float32)
    x = downsample(x) if self.resample else x
    if self.normalize:
      x = x * std + mean
    return centre_trim(x, length)

  def _u_net(self, x: jax.Array) -> jax.Array:
    features, skips = self.channels, []
    for i in range(self.depth):
      x = block(self, self._encoder(i, features), x)
      skips.append(x)
      features = int(self.growth * features)
    if self.lstm_layers:
      features = x.shape[-1]
      x = BiLSTM(
        features,
        self.lstm_layers,
        dtype=self.dtype,
        remat=self.remat,
        name="lstm",
      )(x)
      init = symmetric_uniform((2 * features) ** -0.5)
      linear = functools.partial(nn.Dense, kernel_init=init, bias_init=init)
      x = linear(features, dtype=self.dtype, name="linear")(x)
    for i, skip in enumerate(reversed(skips)):
      last = i == self.depth - 1
      features = self.audio_channels if last else skips[-2 - i].shape[-1]
      x = block(self, self._decoder(i, features), (x, skip))
      x = x if last else nn.relu(x)
    return x

  @nn.nowrap
  def _convolve(self, *arguments: Any, **options: Any) -> Convolution:
    return Convolution(
      *arguments, rescale=self.rescale, dtype=self.dtype, **options
    )

  @nn.nowrap
  def _encoder(self, i: int, features: int) -> Callable:
    """Makes the function of an encoder layer."""
    size, stride, conv = self.kernel_size, self.stride, self._convolve

    def encode(_: nn.Module, x: jax.Array) -> jax.Array:
      x = nn.relu(conv(features, size, stride, name=f"encoder_{i}_conv")(x))
      return nn.glu(conv(2 * features, 1, name=f"encoder_{i}_rewrite")(x))

    return encode

  @nn.nowrap
  def _decoder(self, i: int, features: int) -> Callable:
    """Makes the function of a decoder layer, without its activation."""
    size, stride, conv = self.kernel_size, self.stride, self._convolve

    def decode(_: nn.Module, inputs: tuple[jax.Array, jax.Array]) -> jax.Array:
      x, skip = inputs
      x = x + centre_trim(skip, x.shape[1])
      x = jnp.pad(x, ((0, 0), (self._margin,) * 2, (0, 0)))
      wide, taps = 2 * skip.shape[-1], self.decoder_taps
      x = nn.glu(conv(wide, taps, name=f"decoder_{i}_rewrite")(x))
      name = f"decoder_{i}_conv"
      return conv(features, size, stride, transposed=True, name=name)(x)

    return decode
