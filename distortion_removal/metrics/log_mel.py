"""VGGish's log-mel patches, and the Fréchet distance of a plain statistic.

The front end is that of the published VGGish (S. Hershey et al., "CNN
Architectures for Large-Scale Audio Classification", ICASSP 2017; constants from
`vggish_params.py` in tensorflow/models): 16 kHz mono, frames of 25 ms every
10 ms, 64 bands that are triangles on the HTK mel scale from 125 to 7500 Hz, of
the magnitude and not the power, log(x + 0.01), patches of 96 frames.
"""

import functools

import numpy as np

from distortion_removal.audio import stft
from distortion_removal.audio.resampling import resample
from distortion_removal.common.log import logger
from distortion_removal.metrics import frechet, signals

SAMPLE_RATE = 16_000
HOP = 160
PATCH_FRAMES = 96
BANDS = 64
_FRAME = 400
_FFT_SIZE = 512
_EDGES_HZ = (125.0, 7_500.0)
_LOG_OFFSET = 0.01
# Samples of a patch.
PATCH_SPAN = (PATCH_FRAMES - 1) * HOP + _FRAME
# A gain of at most 20 dB.
_LEAST_PEAK = 0.1


@functools.cache
def mel_filters() -> np.ndarray:
  """The mel bands as a matrix `[bins, bands]`, `[257, 64]`.

  Band b rises from edge b to edge b + 1 and falls to edge b + 2, in straight
  lines of the mel scale m = 1127 ln(1 + f / 700); the 66 edges are equidistant
  on it. The bin at 0 Hz counts in no band.
  """
  bins_hz = np.arange(_FFT_SIZE // 2 + 1) * SAMPLE_RATE / _FFT_SIZE
  edges = np.linspace(*_mel(np.array(_EDGES_HZ)), BANDS + 2)
  # In units of the edges' spacing, from the centre of each band.
  offset = (_mel(bins_hz)[:, None] - edges[1:-1]) / (edges[1] - edges[0])
  filters = np.maximum(0.0, 1.0 - np.abs(offset))
  filters[0] = 0.0
  filters.flags.writeable = False
  return filters


def _mel(frequency_hz: np.ndarray) -> np.ndarray:
  """HTK's mel scale."""
  return 1127.0 * np.log1p(frequency_hz / 700.0)


def log_mel(audio: np.ndarray) -> np.ndarray:
  """Log-mel spectrogram of one channel at 16 kHz.

  Args:
    audio: `[time]`, at least a frame (400 samples).

  Returns:
    `[frames, bands]` float64; only frames that lie within the audio.
  """
  frames = np.lib.stride_tricks.sliding_window_view(audio, _FRAME)[::HOP]
  window = stft.window(_FRAME, dtype=np.float64)
  magnitudes = np.abs(np.fft.rfft(frames * window, _FFT_SIZE))
  return np.log(magnitudes @ mel_filters() + _LOG_OFFSET)


def patches(
  audio: np.ndarray,
  *,
  sample_rate: int,
  hop_frames: int = PATCH_FRAMES,
  span: int = PATCH_SPAN,
  peak_normalised: bool = False,
) -> np.ndarray:
  """Cuts recordings into log-mel patches, all of them one after the other.

  Channels are averaged, and what is not at 16 kHz is resampled by soxr. A
  recording has no patch beyond its end: one that is shorter than `span` has
  none at all. One that holds NaN or infinite samples has none either, and a
  log warning tells how many there are. Silence counts like any sound.

  Args:
    audio: `[batch, time, channels]`, floats.
    sample_rate: in Hz.
    hop_frames: frames of 10 ms from one patch to the next.
    span: samples at 16 kHz that must follow the start of a patch.
    peak_normalised: whether every recording is first divided by its largest
      sample, or by 0.1 if that is larger.

  Returns:
    `[windows, 96, 64]` float32.
  """
  with np.errstate(over="ignore"):
    finite = np.isfinite(audio.astype(np.float32)).all(axis=(1, 2))
  if not finite.all():
    logger.warning(
      "%d of %d recordings hold NaN or infinite samples and are left out",
      np.count_nonzero(~finite),
      len(finite),
    )

  def cut(item: int) -> np.ndarray:
    signal = _to_mono(audio[item], sample_rate)
    if peak_normalised and signal.size:
      signal = signal / max(_LEAST_PEAK, signal.max())
    return _cut(signal, hop_frames, span)

  found = signals.map_items(cut, np.flatnonzero(finite))
  return np.concatenate([np.zeros((0, PATCH_FRAMES, BANDS), "f4"), *found])


def _to_mono(audio: np.ndarray, sample_rate: int) -> np.ndarray:
  """`[time, channels]` to `[time]` float64 at 16 kHz."""
  mono = audio.mean(axis=1, dtype=np.float64, keepdims=True)
  return resample(mono, sample_rate, SAMPLE_RATE)[:, 0]


def _cut(signal: np.ndarray, hop_frames: int, span: int) -> np.ndarray:
  """The patches `[windows, 96, 64]` of `[time]` audio at 16 kHz."""
  if len(signal) < span:
    return np.zeros((0, PATCH_FRAMES, BANDS), np.float32)
  count = 1 + (len(signal) - span) // (hop_frames * HOP)
  frames = log_mel(signal).astype(np.float32)
  views = np.lib.stride_tricks.sliding_window_view(frames, PATCH_FRAMES, axis=0)
  return views[::hop_frames][:count].swapaxes(1, 2)


def embed(audio: np.ndarray, *, sample_rate: int) -> np.ndarray:
  """The statistic of `frechet_logmel`: one vector for every 0.96 s.

  Mean over time and standard deviation of the 64 bands of a patch: timbre and
  how much it moves, in as many dimensions as an embedding of VGGish has.

  Args:
    audio: `[batch, time, channels]`; see `patches` for what is left out.
    sample_rate: in Hz.

  Returns:
    `[windows, 128]` float64.
  """
  found = patches(audio, sample_rate=sample_rate).astype(np.float64)
  return np.concatenate([found.mean(axis=1), found.std(axis=1)], axis=1)


def frechet_logmel(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Fréchet distance of log-mel statistics (lower is better; at least 0).

  This is not FAD, and no table may call it so: it has no network, needs no
  weights, and its numbers compare with no published ones. It is for work
  without VGGish's weights.

  Args:
    estimate: `[batch, time, channels]`.
    target: of the same shape, or with a batch of one.
    sample_rate: in Hz.

  Returns:
    `[1]` float64, one number for the whole batch, in squared nepers; NaN if
    either side has fewer than two windows (of 0.96 s).

  Raises:
    ValueError: the shapes do not fit.
  """
  transform = functools.partial(embed, sample_rate=sample_rate)
  return frechet.distance_of_audio(transform, estimate, target)
