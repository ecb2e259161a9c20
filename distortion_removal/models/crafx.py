"""CRAFx, a convolutional and recurrent network for audio effects.

M. A. Martínez Ramírez, E. Benetos, J. D. Reiss, "A General-Purpose Deep
Learning Approach to Model Time-Varying Audio Effects", DAFx 2019 (arXiv
1905.06148) and "Deep Learning for Black-Box Modeling of Audio Effects", Appl.
Sci. 2020, 10, 638. A learnt filter bank splits frames into bands; recurrent
layers turn the bands' envelopes, those of the neighbouring frames included,
into gains; a waveshaper and the filter bank's transpose make audio of them.
"""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from distortion_removal.audio import stft
from distortion_removal.audio.framing import overlap_add, split_frames
from distortion_removal.models.checks import (
  require,
  require_integers,
  require_number,
  require_sizes,
)
from distortion_removal.models.filter_bank import (
  same_padding,
  smooth,
  synthesise,
)
from distortion_removal.models.layers import convolve, symmetric_uniform
from distortion_removal.models.recurrence import BiLSTM
from distortion_removal.models.saaf import SAAF


class CRAFx(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 275,073 parameters. This number has room for the parameters
  of one SAAF, but the papers draw two (after the recurrent layers and after
  the waveshaper's dense layers): they are taken to be the same one.

  Channels are processed apart, with the same weights. The frames start at
  multiples of `frame_hop`, the first ones before the recording, and overlap;
  past the recording's ends they hold zeros. Each is analysed once, though an
  output frame needs the analyses of `context_frames` before and after it. The
  network is not causal: at the defaults it looks 12,286 samples ahead, 0.77 s.

  The recurrent layers start as PyTorch's and have dropout on their inputs (the
  papers have it inside of the recurrence, too). The other layers start as
  Keras' (Glorot uniform kernels, no bias), the SAAF as the identity.

  Attributes:
    audio_channels: 1 for mono.
    sample_rate: Hz, that the network is meant for.
    filters: bands of the filter bank.
    taps: of its filters.
    smoothing_taps: of the filters that smooth the rectified bands.
    frame: samples of a frame.
    frame_hop: samples between frames, at most half a frame.
    context_frames: frames before and after that a frame is restored from.
    pool: samples that share one step of the recurrent layers.
    lstm_features: of each direction; the last is half of `filters`.
    dense_features: of the waveshaper; a last layer of `filters` follows.
    excitation_features: of the squeeze-and-excitation's hidden layer.
    saaf_segments: see `SAAF`.
    saaf_range: limit of the SAAF's segments.
    dropout: rate, at the inputs of the recurrent layers.
    dtype: type of the computation; parameters and audio are float32.
  """

  audio_channels: int = 1
  sample_rate: int = 16_000
  filters: int = 32
  taps: int = 64
  smoothing_taps: int = 128
  frame: int = 4096
  frame_hop: int = 2048
  context_frames: int = 4
  pool: int = 64
  lstm_features: Sequence[int] = (64, 32, 16)
  dense_features: Sequence[int] = (32, 16, 16)
  excitation_features: int = 512
  saaf_segments: int = 24
  saaf_range: float = 0.2
  dropout: float = 0.1
  dtype: Any = jnp.float32

  def __post_init__(self):
    super().__post_init__()
    require_integers(self, "audio_channels", "sample_rate", "filters", "taps")
    require_integers(self, "smoothing_taps", "frame", "frame_hop", "pool")
    require_integers(self, "excitation_features", "saaf_segments")
    require_integers(self, "context_frames", least=0)
    require_sizes(self, "lstm_features", "dense_features")
    require_number(self, "saaf_range", above=0)
    require_number(self, "dropout", least=0, below=1)
    frame, hop = self.frame, self.frame_hop
    multiple = f"2, 3, ... times frame_hop, which is {hop}"
    require(self, "frame", frame % hop == 0 and frame > hop, multiple)
    divisor = f"a divisor of frame, which is {frame}"
    require(self, "pool", frame % self.pool == 0, divisor)
    halves = f"a last one that is half of filters, {self.filters}"
    last = sum(self.lstm_features[-1:])
    require(self, "lstm_features", 2 * last == self.filters, halves)

  @property
  def hop(self) -> int:
    """Samples; moving the input by a multiple moves the output alike."""
    return self.frame_hop

  @property
  def context(self) -> tuple[int, int]:
    """Samples before and after an output sample that it can depend on."""
    frames = self.context_frames * self.frame_hop
    # The window's first sample is zero.
    return frames + self.frame - 1, frames + self.frame - 2

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Samples of all frames that overlap a recording of `length` samples."""
    frames = -(-length // self.frame_hop)
    return frames * self.frame_hop + 2 * (self.frame - self.frame_hop)

  def setup(self):
    """The parameters; `__call__` and `autoencode` share them."""
    glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
    # Glorot's for filters that each see one band and make one.
    separate = symmetric_uniform((3 / self.smoothing_taps) ** 0.5)
    self.kernel = self.param("kernel", glorot, (self.taps, 1, self.filters))
    self.bias = self.param("bias", zeros, (self.filters,))
    self.smoothing_kernel = self.param(
      "smoothing_kernel", separate, (self.smoothing_taps, self.filters)
    )
    self.smoothing_bias = self.param("smoothing_bias", zeros, (self.filters,))
    self.output_bias = self.param("output_bias", zeros, (1,))
    self.lstm = [
      BiLSTM(features, recurrent_bias=False, dtype=self.dtype)
      for features in self.lstm_features
    ]
    widths = (*self.dense_features, self.filters)
    dense = functools.partial(nn.Dense, dtype=self.dtype, kernel_init=glorot)
    self.dense = [dense(features) for features in widths]
    self.saaf = SAAF(self.saaf_segments, self.saaf_range)
    self.squeeze = dense(self.excitation_features)
    self.excite = dense(self.filters)
    self.drop = nn.Dropout(self.dropout)

  def __call__(self, audio: jax.Array, train: bool = False) -> jax.Array:
    """Restores `[batch, time, audio_channels]`, float32, of any time.

    `train` switches dropout on, which draws from the `dropout` stream.
    """
    bands, envelopes = self._analyse(self._frames(audio))
    gains = self._recur(envelopes, train)
    return self._synthesise(self._shape(self._modulate(bands, gains)), audio)

  def autoencode(self, audio: jax.Array) -> jax.Array:
    """The network of the papers' unsupervised pre-training.

    What is left without recurrent layers and waveshaper: the bands times their
    own envelopes, put together again. Trained to reconstruct its input, clean
    or degraded, it gives the two convolutions their first weights.
    """
    bands, envelopes = self._analyse(self._frames(audio))
    return self._synthesise(self._modulate(bands, envelopes), audio)

  def _frames(self, audio: jax.Array) -> jax.Array:
    """The overlapping frames, `[batch * channels, count, frame]`."""
    batch, time, channels = audio.shape
    margin = self.frame - self.frame_hop
    audio = audio.swapaxes(1, 2).reshape(batch * channels, time)
    padding = (margin, self.valid_length(time) - time - margin)
    audio = jnp.pad(audio, ((0, 0), padding))
    return split_frames(audio, self.frame, self.frame_hop)

  def _analyse(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Bands `[…, frame, filters]` and envelopes `[…, steps, filters]`."""
    x = frames.reshape(-1, self.frame, 1).astype(self.dtype)
    x = jnp.pad(x, ((0, 0), same_padding(self.taps), (0, 0)))
    kernel, bias = (a.astype(self.dtype) for a in (self.kernel, self.bias))
    bands = convolve(x, kernel) + bias
    bands = bands.reshape(*frames.shape, self.filters)
    return bands, self._envelopes(bands)

  def _envelopes(self, bands: jax.Array) -> jax.Array:
    """Smoothed and pooled magnitudes `[…, frame // pool, filters]`, float32."""
    x = jnp.abs(bands).astype(jnp.float32).swapaxes(-1, -2)
    x = smooth(x, self.smoothing_kernel)
    # The maximum of a growing function is that of its argument.
    x = x.reshape(*x.shape[:-1], -1, self.pool).max(-1).swapaxes(-1, -2)
    return nn.softplus(x + self.smoothing_bias)

  def _recur(self, envelopes: jax.Array, train: bool) -> jax.Array:
    """Gains of the bands, from the envelopes of a frame and its neighbours."""
    batch, count, steps, filters = envelopes.shape
    side = self.context_frames
    # All frames beyond the recording are the same silence.
    silence = jnp.tile(self.bias.astype(self.dtype), (self.frame, 1))
    silence = self._envelopes(silence)
    silence = jnp.broadcast_to(silence, (batch, side, steps, filters))
    x = jnp.concatenate([silence, envelopes, silence], 1)
    x = jnp.concatenate([x[:, i : i + count] for i in range(2 * side + 1)], -1)
    x = x.reshape(batch * count, steps, -1)
    for lstm in self.lstm:
      x = lstm(self.drop(x, deterministic=not train))
    # The product keeps XLA from fusing the SAAF into what the gains scale,
    # which would compute it again for every sample (2.5 times the inference).
    gains = jnp.dot(self.saaf(x), jnp.eye(filters), precision="highest")
    return gains.reshape(envelopes.shape)

  def _modulate(self, bands: jax.Array, gains: jax.Array) -> jax.Array:
    """Bands times gains, each of which holds for `pool` samples."""
    gains = gains[..., None, :].astype(self.dtype)
    split = bands.reshape(*gains.shape[:-2], self.pool, self.filters)
    return (split * gains).reshape(bands.shape)

  def _shape(self, bands: jax.Array) -> jax.Array:
    """Adds the waveshaper's bands, scaled by squeeze-and-excitation.

    The mean over a frame, of which the scale is made, is that of magnitudes.
    """
    x = bands
    for layer in self.dense[:-1]:
      x = jnp.tanh(layer(x))
    x = self.saaf(self.dense[-1](x))
    scale = jnp.abs(x).mean(-2, keepdims=True)
    scale = nn.sigmoid(self.excite(nn.relu(self.squeeze(scale))))
    return bands + x * scale

  def _synthesise(self, bands: jax.Array, audio: jax.Array) -> jax.Array:
    """Audio of the shape of `audio` from its frames' bands."""
    batch, time, channels = audio.shape
    kernel = self.kernel[:, 0].astype(self.dtype)
    frames = bands.reshape(-1, self.frame, self.filters)
    frames = synthesise(frames, kernel, self.pool).astype(jnp.float32)
    # Shifted by hops, the windows add up to one.
    window = stft.window(self.frame) * (2 * self.frame_hop / self.frame)
    frames = (frames + self.output_bias) * window
    restored = overlap_add(frames.reshape(bands.shape[:3]), self.frame_hop)
    start = self.frame - self.frame_hop
    restored = restored[:, start : start + time]
    return restored.reshape(batch, channels, time).swapaxes(1, 2)
