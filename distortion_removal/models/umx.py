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

from distortion_removal.audio.stft import frame_count, istft, stft
from distortion_removal.common.errors import UserError
from distortion_removal.models.batch_norm import BatchNorm
from distortion_removal.models.checks import (
  require,
  require_integers,
  require_number,
)
from distortion_removal.models.layers import symmetric_uniform
from distortion_removal.models.recurrence import BiLSTM

# The smallest deviation that a bin is divided by, relative to the largest.
_FLOOR = 1e-4


class UMX(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 5,785,606 parameters. In training, batch normalisation
  updates the collection `batch_stats` and dropout draws from `dropout`.

  Attributes:
    audio_channels: 1 for mono.
    sample_rate: of the audio that the network is meant for, in Hz.
    stft_size: samples of a frame of the Fourier transform.
    stft_hop: samples between frames.
    features: of the linear layers and of both directions of the BiLSTM.
    lstm_layers: BiLSTM layers.
    dropout: rate between BiLSTM layers.
    max_bin: the network reads the bins below; None: all. It masks all anyway.
    axis_name: see `BatchNorm`.
    dtype: type of the computation; parameters, audio, Fourier transforms and
      statistics are float32.
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

  def __post_init__(self):
    super().__post_init__()
    require_integers(self, "audio_channels", "sample_rate", "stft_hop")
    require_integers(self, "lstm_layers")
    require_integers(self, "stft_size", "features", least=2, step=2)
    require(
      self,
      "stft_hop",
      self.stft_hop <= self.stft_size // 2,
      f"at most half of stft_size, which is {self.stft_size}",
    )
    require_number(self, "dropout", least=0, below=1)
    if self.max_bin is not None:
      require_integers(self, "max_bin")
      most = f"at most the transform's {self._bins} bins"
      require(self, "max_bin", self.max_bin <= self._bins, most)

  @property
  def _bins(self) -> int:
    return self.stft_size // 2 + 1

  @property
  def hop(self) -> int:
    """Samples; a shift by a multiple shifts the frames alike."""
    return self.stft_hop

  @property
  def context(self) -> None:
    """The BiLSTM sees the whole recording."""
    return None

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Samples that the frames span, at least `length`."""
    return (frame_count(length, self.stft_hop) - 1) * self.stft_hop + (
      self.stft_size
    )

  @nn.nowrap
  def transform(self, audio: jax.Array) -> jax.Array:
    """Magnitudes of `[batch, time, channels]`, to compare `magnitudes` with.

    Returns:
      `[batch, channels, frames, bins]` float32.
    """
    return jnp.abs(stft(audio, size=self.stft_size, hop=self.stft_hop))

  @nn.nowrap
  def scaled(
    self, params: Mapping[str, Any], mean: jax.Array, std: jax.Array
  ) -> dict[str, Any]:
    """`params` that start from standardised input, as in Open-Unmix.

    Args:
      params: the collection of that name.
      mean: of every bin's magnitudes (`transform` of the degraded training
        split, its channels averaged), `[bins]`.
      std: their standard deviation, `[bins]`. Where it is zero one counts, and
        it is at least 1e-4 of the largest.

    Raises:
      UserError: the statistics are of another transform.
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
    """Restores `[batch, time, audio_channels]`, float32, of any time."""
    spectrum = stft(audio, size=self.stft_size, hop=self.stft_hop)
    restored = self._mask(jnp.abs(spectrum), train) * spectrum
    return istft(restored, hop=self.stft_hop, length=audio.shape[1])

  def magnitudes(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Estimated magnitudes `[batch, channels, frames, bins]`, float32."""
    magnitude = self.transform(audio)
    return self._mask(magnitude, train) * magnitude

  @nn.compact
  def _mask(self, magnitude: jax.Array, train: bool) -> jax.Array:
    """The factors of `[batch, channels, frames, bins]`."""
    batch, channels, frames, bins = magnitude.shape
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    x = magnitude[..., : self.max_bin]
    read = x.shape[-1:]
    x = x + self.param("input_mean", zeros, read)
    x = x * self.param("input_scale", ones, read)
    # Frames of all items in rows: matrix products have the fastest gradient.
    x = x.swapaxes(1, 2).reshape(batch * frames, -1).astype(self.dtype)
    norm = functools.partial(BatchNorm, axis_name=self.axis_name)
    x = self._dense(x, self.features, "fc1")
    x = nn.tanh(norm(name="bn1")(x, train))
    recurrent = BiLSTM(
      self.features // 2,
      self.lstm_layers,
      dropout=self.dropout,
      dtype=self.dtype,
      name="lstm",
    )(x.reshape(batch, frames, -1), train)
    x = jnp.concatenate([x, recurrent.reshape(x.shape)], -1)
    x = self._dense(x, self.features, "fc2")
    x = nn.relu(norm(name="bn2")(x, train))
    x = self._dense(x, channels * bins, "fc3").astype(jnp.float32)
    x = norm(name="bn3")(x, train)
    x = x.reshape(batch, frames, channels, bins).swapaxes(1, 2)
    x = x * self.param("output_scale", ones, (bins,))
    return nn.relu(x + self.param("output_mean", ones, (bins,)))

  def _dense(self, x: jax.Array, features: int, name: str) -> jax.Array:
    """A linear layer as PyTorch initialises it, without a bias."""
    init = symmetric_uniform(x.shape[-1] ** -0.5)
    return nn.Dense(
      features, use_bias=False, dtype=self.dtype, kernel_init=init, name=name
    )(x)
