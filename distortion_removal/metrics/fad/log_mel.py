"""VGGish's log-mel patches, and the Fréchet distance of a plain statistic.

The front end is that of the published VGGish (S. Hershey et al., "CNN
Architectures for Large-Scale Audio Classification", ICASSP 2017; constants from
`vggish_params.py` in tensorflow/models): 16 kHz mono, frames of 25 ms every
10 ms, 64 bands that are triangles on the HTK mel scale from 125 to 7500 Hz, of
the magnitude and not the power, log(x + 0.01), patches of 96 frames.
"""

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.audio import stft
from distortion_removal.audio.resampling import resample
from distortion_removal.common.log import logger
from distortion_removal.metrics import signals
from distortion_removal.metrics.fad import frechet

PATCH_FRAMES = 96
BANDS = 64
_SAMPLE_RATE = 16_000
_HOP_SAMPLES, _FRAME_SAMPLES, _FFT_SIZE = 160, 400, 512
_LOG_OFFSET = 0.01
_PATCH_SAMPLES = (PATCH_FRAMES - 1) * _HOP_SAMPLES + _FRAME_SAMPLES
_LEAST_PEAK = 0.1  # a gain of at most 20 dB


@functools.cache
def mel_filters() -> np.ndarray:
  """Returns the mel bands as a matrix `[bins, bands]`, `[257, 64]`.

  Band b rises from edge b to edge b + 1 and falls to edge b + 2, in straight
  lines of the mel scale m = 1127 ln(1 + f / 700); the 66 edges are equidistant
  on it. The bin at 0 Hz counts in no band.
  """
  bins_hz = np.arange(_FFT_SIZE // 2 + 1) * _SAMPLE_RATE / _FFT_SIZE
  edges = np.linspace(*_mel(np.array([125.0, 7_500.0])), BANDS + 2)
  # The distance from each band's centre, in units of the edges' spacing.
  offset = (_mel(bins_hz)[:, None] - edges[1:-1]) / (edges[1] - edges[0])
  filters = np.maximum(0.0, 1.0 - np.abs(offset))
  filters[0] = 0.0
  filters.flags.writeable = False
  return filters


def _mel(frequency_hz: np.ndarray) -> np.ndarray:
  return 1127.0 * np.log1p(frequency_hz / 700.0)


def log_mel(audio: np.ndarray) -> np.ndarray:
  """Computes the log-mel spectrogram of one channel at 16 kHz.

  From `[time]`, at least a frame (400 samples), to `[frames, bands]` float64.
  """
  frames = sliding_window_view(audio, _FRAME_SAMPLES)[::_HOP_SAMPLES]
  window = stft.window(_FRAME_SAMPLES, dtype=np.float64)
  magnitudes = np.abs(np.fft.rfft(frames * window, _FFT_SIZE))
  return np.log(magnitudes @ mel_filters() + _LOG_OFFSET)


def patches(
  audio: np.ndarray,
  *,
  sample_rate: int,
  hop_frames: int = PATCH_FRAMES,
  span: int = _PATCH_SAMPLES,
  peak_normalised: bool = False,
) -> np.ndarray:
  """Cuts recordings into log-mel patches, all of them one after the other.

  Channels are averaged, and audio not at 16 kHz is resampled by soxr. A
  recording has no patch beyond its end, and none at all if it is shorter than
  `span`. One with NaN or infinite samples has none either, and a log warning
  counts such recordings. Silence counts like any sound.

  Args:
    audio: `[batch, time, channels]`, floats.
    sample_rate: rate in Hz.
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
    mono = audio[item].mean(axis=1, dtype=np.float64, keepdims=True)
    signal = resample(mono, sample_rate, _SAMPLE_RATE)[:, 0]
    if peak_normalised and signal.size:
      signal = signal / max(_LEAST_PEAK, signal.max())
    return _cut(signal, hop_frames, span)

  cuts = signals.map_items(cut, np.flatnonzero(finite))
  return np.concatenate([np.zeros((0, PATCH_FRAMES, BANDS), "f4"), *cuts])


def _cut(signal: np.ndarray, hop_frames: int, span: int) -> np.ndarray:
  """Cuts `[time]` audio at 16 kHz into patches `[windows, 96, 64]`."""
  if len(signal) < span:
    return np.zeros((0, PATCH_FRAMES, BANDS), np.float32)
  count = 1 + (len(signal) - span) // (hop_frames * _HOP_SAMPLES)
  frames = log_mel(signal).astype(np.float32)
  views = sliding_window_view(frames, PATCH_FRAMES, axis=0)
  return views[::hop_frames][:count].swapaxes(1, 2)


def embed(audio: np.ndarray, *, sample_rate: int) -> np.ndarray:
  """Computes the statistic of `frechet_logmel`: a vector for every 0.96 s.

  Mean over time and standard deviation of the 64 bands of a patch: timbre and
  how much it moves, in as many dimensions as an embedding of VGGish has.

  Returns:
    `[windows, 128]` float64, from `[batch, time, channels]` as in `patches`.
  """
  cuts = patches(audio, sample_rate=sample_rate).astype(np.float64)
  return np.concatenate([cuts.mean(axis=1), cuts.std(axis=1)], axis=1)


def frechet_logmel(
  estimate: np.ndarray, target: np.ndarray, *, sample_rate: int
) -> np.ndarray:
  """Computes the Fréchet distance of log-mel statistics (lower is better).

  This is not FAD, and no table may call it so: it has no network and compares
  with no published numbers. It is for work without VGGish's weights.

  Returns:
    `[1]` float64 of at least 0, one number for the whole batch, in squared
    nepers; NaN if either side has fewer than two windows (of 0.96 s).
  """
  return frechet.distance_of_audio(embed, estimate, target, sample_rate)
