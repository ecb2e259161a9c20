"""UMX, the network that masks the magnitudes of a spectrogram.

F.-R. Stöter, S. Uhlich, A. Liutkus, Y. Mitsufuji, "Open-Unmix - A Reference
Implementation for Music Source Separation", Journal of Open Source Software
4(41), 2019, with one target: a bidirectional LSTM between linear layers
estimates a non-negative factor for every bin of the short-time Fourier
transform; the phase is the input's.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from distortion_removal.audio.stft import frame_count, istft, stft
from distortion_removal.common.errors import UserError
from distortion_removal.models.layers import (
  FRACTION,
  block,
  check_fields,
  symmetric_uniform,
)
from distortion_removal.models.recurrence import BiLSTM

# The smallest deviation that a bin is divided by, relative to the largest.
_FLOOR = 1e-4
# Weight of the new batch in the running statistics of batch normalisation, and
# what is added to a variance; both as in PyTorch.
_MOMENTUM = 0.1
_EPSILON = 1e-5


class BatchNorm(nn.Module):
  """Normalises every feature by its mean and variance over all other axes.

  In training they are the batch's, and the running ones in the collection
  `batch_stats` (`mean`, `var`) move towards them; otherwise the running ones
  are taken. As in PyTorch, the batch is normalised by the biased variance,
  while the running variance takes the unbiased one. The parameters are `scale`
  and `bias`. All is computed in float32, whatever the input.

  S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training
  by Reducing Internal Covariate Shift", 2015, as `torch.nn.BatchNorm1d`.

  Attributes:
    axis_name: mapped axis of devices, equally loaded, that share one batch in
      training; None: every device is on its own.
  """

  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
    """Maps `[..., features]` to the same shape and type."""
    features = x.shape[-1]
    scale = self.param("scale", nn.initializers.ones, (features,))
    bias = self.param("bias", nn.initializers.zeros, (features,))
    running = (
      self.variable("batch_stats", "mean", jnp.zeros, (features,)),
      self.variable("batch_stats", "var", jnp.ones, (features,)),
    )
    mean, var = (statistic.value for statistic in running)
    if train and not self.is_initializing():
      mean, var, unbiased = self._statistics(x.astype(jnp.float32))
      for statistic, new in zip(running, (mean, unbiased), strict=True):
        statistic.value = (1 - _MOMENTUM) * statistic.value + _MOMENTUM * new
    factor = scale * lax.rsqrt(var + _EPSILON)
    return ((x - mean) * factor + bias).astype(x.dtype)

  def _statistics(self, x: jax.Array) -> tuple[jax.Array, ...]:
    """Returns mean, variance and unbiased variance over all devices."""
    axes = tuple(range(x.ndim - 1))
    count, average = x.size // x.shape[-1], lambda x: x
    if self.axis_name is not None:
      count *= lax.psum(1, self.axis_name)
      average = functools.partial(lax.pmean, axis_name=self.axis_name)
    mean = average(x.mean(axes))
    # Deviations from the common mean: no difference of large squares.
    var = average(jnp.square(x - mean).mean(axes))
    return mean, var, var * (count / max(count - 1, 1))


class UMX(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 5,785,606 parameters. In training, batch normalisation
  updates the collection `batch_stats` and dropout draws from `dropout`.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
      Fourier transforms and statistics, too, are float32.
    stft_size: samples of a frame of the Fourier transform.
    stft_hop: samples between frames.
    features: width of the linear layers and of the BiLSTM, both directions.
    lstm_layers: BiLSTM layers.
    dropout: rate between BiLSTM layers.
    max_bin: number of bins that the network reads; None: all. It masks all.
    axis_name: see `BatchNorm`.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  stft_size: int = 1024
  stft_hop: int = 256
  features: int = 512
  lstm_layers: int = 3
  dropout: float = 0.4
  max_bin: int | None = None
  axis_name: str | None = None
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    even = (lambda x: x >= 2 and x % 2 == 0, "an even number")
    check_fields(
      self,
      stft_size=even,
      features=even,
      stft_hop=(
        lambda x: 1 <= x <= self.stft_size // 2,
        f"1 to half of stft_size, which is {self.stft_size}",
      ),
      dropout=FRACTION,
      max_bin=(
        lambda x: x is None or 1 <= x <= self._bins,
        f"1 to the number of bins, {self._bins}",
      ),
    )

  @property
  def _bins(self) -> int:
    return self.stft_size // 2 + 1

  @property
  def hop(self) -> int:
    """Samples between frames."""
    return self.stft_hop

  @property
  def context(self) -> None:
    """Unlimited: the BiLSTM sees the whole recording."""
    return None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the number of samples that the frames span."""
    hops = frame_count(length, self.stft_hop) - 1
    return hops * self.stft_hop + self.stft_size

  @nn.nowrap
  def transform(self, audio: jax.Array) -> jax.Array:
    """Returns the magnitudes `[batch, channels, frames, bins]` of audio."""
    return jnp.abs(stft(audio, size=self.stft_size, hop=self.stft_hop))

  @nn.nowrap
  def scaled(
    self, params: Mapping[str, Any], mean: jax.Array, std: jax.Array
  ) -> dict[str, Any]:
    """Returns parameters that standardise the input first, as in Open-Unmix.

    Args:
      params: the parameters to change.
      mean: mean of every bin's magnitudes (`transform` of the degraded training
        split, its channels averaged), `[bins]`.
      std: their standard deviation, `[bins]`. 0 counts as 1, and anything less
        than 1e-4 of the largest as that.

    """
    shape = (self._bins,)
    if jnp.shape(mean) != shape or jnp.shape(std) != shape:
      raise UserError(
        f"UMX: statistics have shapes {jnp.shape(mean)} and {jnp.shape(std)}, "
        f"but stft_size {self.stft_size} makes {shape}; prepare them anew"
      )
    std = jnp.where(std == 0, 1.0, std)
    std = jnp.maximum(std, _FLOOR * jnp.max(std))
    read = slice(self.max_bin)
    scalers = {"input_mean": -mean[read], "input_scale": 1.0 / std[read]}
    return {**params, **scalers}

  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Restores audio; see the class for `train`."""
    spectrum = stft(audio, size=self.stft_size, hop=self.stft_hop)
    restored = self._mask(jnp.abs(spectrum), train) * spectrum
    return istft(restored, hop=self.stft_hop, length=audio.shape[1])

  def magnitudes(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Estimates magnitudes `[batch, channels, frames, bins]`, float32."""
    magnitude = self.transform(audio)
    return self._mask(magnitude, train) * magnitude

  @nn.compact
  def _mask(self, magnitude: jax.Array, train: bool) -> jax.Array:
    """Returns the factors for `[batch, channels, frames, bins]`."""
    batch, channels, frames, bins = magnitude.shape
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    x = magnitude[..., : self.max_bin]
    read = x.shape[-1:]
    mean = self.param("input_mean", zeros, read)
    if train:
      # Its gradient is zero, as the first batch normalisation takes it out. Of
      # its rounding errors, Adam would make steps.
      mean = lax.stop_gradient(mean)
    x = x + mean
    x = x * self.param("input_scale", ones, read)
    # One row a frame: products of two matrices have the fastest gradient.
    x = x.swapaxes(1, 2).reshape(batch * frames, -1).astype(self.dtype)
    norm = functools.partial(BatchNorm, axis_name=self.axis_name)

    def first(self, x):
      x = self._dense(x, self.features, "fc1")
      return nn.tanh(norm(name="bn1")(x, train))

    def second(self, x):
      x = self._dense(x, self.features, "fc2")
      return nn.relu(norm(name="bn2")(x, train))

    def third(self, x):
      x = self._dense(x, channels * bins, "fc3").astype(jnp.float32)
      return norm(name="bn3")(x, train)

    x = block(self, first, x)
    recurrent = BiLSTM(
      self.features // 2,
      self.lstm_layers,
      dropout=self.dropout,
      dtype=self.dtype,
      remat=self.remat,
      name="lstm",
    )(x.reshape(batch, frames, -1), train)
    x = jnp.concatenate([x, recurrent.reshape(x.shape)], -1)
    x = block(self, second, x)
    x = block(self, third, x)
    x = x.reshape(batch, frames, channels, bins).swapaxes(1, 2)
    x = x * self.param("output_scale", ones, (bins,))
    return nn.relu(x + self.param("output_mean", ones, (bins,)))

  def _dense(self, x: jax.Array, features: int, name: str) -> jax.Array:
    """Applies a linear layer without bias, initialised as in PyTorch."""
    init = symmetric_uniform(x.shape[-1] ** -0.5)
    return nn.Dense(
      features, use_bias=False, dtype=self.dtype, kernel_init=init, name=name
    )(x)
