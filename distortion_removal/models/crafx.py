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
from distortion_removal.models.layers import (
  FRACTION,
  NOT_NEGATIVE,
  block,
  check_fields,
  convolve,
  symmetric_uniform,
)
from distortion_removal.models.recurrence import BiLSTM
from distortion_removal.models.saaf import SAAF


def same_padding(taps: int) -> tuple[int, int]:
  """Returns the zeros before and after a signal that keep its length.

  With an even number of taps, the larger half comes after.
  """
  return (taps - 1) // 2, taps // 2


def smooth(bands: jax.Array, kernel: jax.Array) -> jax.Array:
  """Cross-correlates `[..., channels, time]` with a filter for each channel.

  The kernel is `[taps, channels]`. With 128 taps, XLA's depthwise convolution
  takes 20 times as long on CPUs as this product of spectra.
  """
  taps, time = kernel.shape[0], bands.shape[-1]
  size = time + taps
  # In a circle, the taps before the first sample follow the last.
  kernel = jnp.pad(kernel.T, ((0, 0), (0, time)))
  kernel = jnp.roll(kernel, -same_padding(taps)[0], 1)
  spectrum = jnp.fft.rfft(bands, size) * jnp.fft.rfft(kernel).conj()
  return jnp.fft.irfft(spectrum, size)[..., :time]


def synthesise(bands: jax.Array, kernel: jax.Array, block: int) -> jax.Array:
  """Sums the bands' transposed convolutions, one filter each.

  Maps `[frames, time, channels]` with the filters of the analysis, `[taps,
  channels]`, to `[frames, time]`. All shifts of the filters within a block,
  whose length divides the time, make it one large matrix product and an
  overlap-add.
  """
  frames, time, channels = bands.shape
  taps, left = kernel.shape[0], same_padding(kernel.shape[0])[0]
  # Cutting rows one sample shorter than the period puts the filter one sample
  # later in each: [block, span, channels].
  span = -(-(taps + block - 1) // block) * block
  shifts = jnp.pad(kernel, ((0, span + 1 - taps), (0, 0)))
  shifts = jnp.tile(shifts, (block, 1))[: block * span]
  shifts = shifts.reshape(block, span, channels)
  pieces = jnp.einsum(
    "fnoc,oic->fni", bands.reshape(frames, -1, block, channels), shifts
  )
  return overlap_add(pieces, block)[:, left : left + time]


class CRAFx(nn.Module):
  """Maps audio `[batch, time, audio_channels]` to audio of the same shape.

  The defaults give 275,073 parameters. This number allows for one SAAF only,
  but the papers draw two (after the recurrent layers and after the waveshaper's
  dense layers): here they are the same one.

  Channels are processed separately with the same weights. Frames start at
  multiples of `frame_hop`, the first ones before the recording, and overlap;
  past the recording's ends they hold zeros. Each is analysed once, though an
  output frame needs the analyses of `context_frames` before and after it. The
  network is not causal: at the defaults it looks 12,286 samples ahead, 0.77 s.

  The recurrent layers are initialised as in PyTorch and have dropout on their
  inputs (the papers have it inside of the recurrence, too), the other layers as
  in Keras (Glorot uniform kernels, no bias), the SAAF as the identity.

  Attributes:
    audio_channels, sample_rate, dtype, remat: common to all networks, see
      `models`.
    filters: bands of the filter bank.
    taps: taps of its filters.
    smoothing_taps: taps of the filters that smooth the rectified bands.
    frame: samples of a frame.
    frame_hop: samples between frames, at most half a frame.
    context_frames: frames on either side that a frame is restored from.
    pool: samples that share one step of the recurrent layers.
    lstm_features: widths of each direction; the last is half of `filters`.
    dense_features: widths of the waveshaper; a layer of `filters` follows.
    excitation_features: width of the squeeze-and-excitation's hidden layer.
    saaf_segments, saaf_range: number and limit of the SAAF's segments.
    dropout: rate at the inputs of the recurrent layers.
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
  remat: bool = False

  def __post_init__(self):
    super().__post_init__()
    frame, hop, filters = self.frame, self.frame_hop, self.filters
    check_fields(
      self,
      context_frames=NOT_NEGATIVE,
      frame=(
        lambda x: x > hop and x % hop == 0,
        f"2, 3, ... times frame_hop, which is {hop}",
      ),
      pool=(
        lambda x: x >= 1 and frame % x == 0,
        f"a divisor of frame, which is {frame}",
      ),
      lstm_features=(
        lambda x: x and min(x) >= 1 and 2 * x[-1] == filters,
        f"positive sizes, the last one half of filters, which is {filters}",
      ),
      dense_features=(lambda x: min(x, default=1) >= 1, "positive sizes"),
      saaf_range=(lambda x: x > 0, "a number above 0"),
      dropout=FRACTION,
    )

  @property
  def hop(self) -> int:
    """Samples between frames."""
    return self.frame_hop

  @property
  def context(self) -> tuple[int, int]:
    """Samples before and after that an output sample can depend on."""
    frames = self.context_frames * self.frame_hop
    # The window's first sample is zero.
    return frames + self.frame - 1, frames + self.frame - 2

  @nn.nowrap
  def valid_length(self, length: int) -> int:
    """Returns the samples of all frames that overlap `length` samples."""
    frames = -(-length // self.frame_hop)
    return frames * self.frame_hop + 2 * (self.frame - self.frame_hop)

  def setup(self):
    """Makes the parameters, which `__call__` and `autoencode` share."""
    glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
    filters, taps = self.filters, self.smoothing_taps
    self.kernel = self.param("kernel", glorot, (self.taps, 1, filters))
    self.bias = self.param("bias", zeros, (filters,))
    # Glorot's for filters that each see one band and make one.
    separate = symmetric_uniform((3 / taps) ** 0.5)
    self.smoothing_kernel = self.param(
      "smoothing_kernel", separate, (taps, filters)
    )
    self.smoothing_bias = self.param("smoothing_bias", zeros, (filters,))
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
    """Restores audio; `train` switches dropout on, drawn from `dropout`."""
    frames = self._frames(audio)
    bands, envelopes = block(self, CRAFx._analyse, frames)
    gains = block(self, lambda self, x: self._recur(x, train), envelopes)
    bands = block(
      self, lambda self, x: self._shape(self._modulate(*x)), (bands, gains)
    )
    return self._synthesise(bands, audio)

  def autoencode(self, audio: jax.Array) -> jax.Array:
    """Applies the auto-encoder of the papers' unsupervised pre-training.

    It puts the bands times their own envelopes together again. Trained to
    reconstruct its input, it gives the two convolutions their first weights.
    """
    bands, envelopes = block(self, CRAFx._analyse, self._frames(audio))
    return self._synthesise(self._modulate(bands, envelopes), audio)

  def _frames(self, audio: jax.Array) -> jax.Array:
    """Cuts overlapping frames, `[batch * channels, count, frame]`."""
    batch, time, channels = audio.shape
    margin = self.frame - self.frame_hop
    audio = audio.swapaxes(1, 2).reshape(batch * channels, time)
    padding = (margin, self.valid_length(time) - time - margin)
    audio = jnp.pad(audio, ((0, 0), padding))
    return split_frames(audio, self.frame, self.frame_hop)

  def _analyse(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns bands `[…, frame, filters]`, envelopes `[…, steps, filters]`."""
    x = frames.reshape(-1, self.frame, 1).astype(self.dtype)
    x = jnp.pad(x, ((0, 0), same_padding(self.taps), (0, 0)))
    kernel, bias = (a.astype(self.dtype) for a in (self.kernel, self.bias))
    bands = convolve(x, kernel) + bias
    bands = bands.reshape(*frames.shape, self.filters)
    return bands, self._envelopes(bands)

  def _envelopes(self, bands: jax.Array) -> jax.Array:
    """Smooths and pools magnitudes to `[…, frame // pool, filters]`."""
    x = jnp.abs(bands).astype(jnp.float32).swapaxes(-1, -2)
    x = smooth(x, self.smoothing_kernel)
    # Softplus is monotonic and cheaper after the maximum.
    x = x.reshape(*x.shape[:-1], -1, self.pool).max(-1).swapaxes(-1, -2)
    return nn.softplus(x + self.smoothing_bias)

  def _recur(self, envelopes: jax.Array, train: bool) -> jax.Array:
    """Computes the bands' gains from the envelopes of neighbouring frames."""
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
    """Multiplies bands by gains, each of which holds for `pool` samples."""
    gains = gains[..., None, :].astype(self.dtype)
    split = bands.reshape(*gains.shape[:-2], self.pool, self.filters)
    return (split * gains).reshape(bands.shape)

  def _shape(self, bands: jax.Array) -> jax.Array:
    """Adds the waveshaper's bands, scaled by squeeze-and-excitation."""
    x = bands
    for layer in self.dense[:-1]:
      x = jnp.tanh(layer(x))
    x = self.saaf(self.dense[-1](x))
    scale = jnp.abs(x).mean(-2, keepdims=True)
    scale = nn.sigmoid(self.excite(nn.relu(self.squeeze(scale))))
    return bands + x * scale

  def _synthesise(self, bands: jax.Array, audio: jax.Array) -> jax.Array:
    """Puts the frames' bands together to the shape of `audio`."""
    batch, time, channels = audio.shape
    kernel = self.kernel[:, 0].astype(self.dtype)
    frames = bands.reshape(-1, self.frame, self.filters)
    frames = synthesise(frames, kernel, self.pool).astype(jnp.float32)
    # Shifted by hops, the windows add up to one.
    window = stft.window(self.frame) * (2 * self.frame_hop / self.frame)
    frames = (frames + self.output_bias) * window
    restored = overlap_add(frames.reshape(bands.shape[:3]), self.frame_hop)
    restored = restored[:, self.frame - self.frame_hop :][:, :time]
    return restored.reshape(batch, channels, time).swapaxes(1, 2)
