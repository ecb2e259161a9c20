"""Declipping by Janssen's autoregressive interpolation, in rectangular frames.

Janssen, Veldhuis, Vries, "Adaptive interpolation of discrete-time signals that
can be modeled as autoregressive processes", IEEE TASSP 1986, as Mokrý and
Rajmic ran it on clipped audio in 2025: frames without an analysis window, put
together by Hann windows. Each frame repeats two steps:

    a <- the predictor of the current frame: R a = r, by Levinson's recursion
    x <- the clipped samples that it predicts best: min ||(1, -a) * x||^2

The second are linear equations with a band of as many samples as the predictor
has. From the third iteration on x is drawn further, to
x + (N - i) / (N - 1) (x - x_old) in the i-th of N, 0 in the last.

Only the result is projected on what the recording allows, which increases no
sample's error. Samples on the wrong side of a rail are never mirrored: that is
patented in the US until 2030.

SciPy solves the equations, on the CPU: their number differs from frame to
frame, and a band of their matrix takes a hundredth of the work of blocks of a
size that a compiled program could have.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg

from distortion_removal.audio import stft
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.declipping import check_counts
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  bounds,
  clip_signs,
  resolve_rails,
)

# Parts of the diagonals of the two systems that are added to them. The second
# holds samples that the predictor leaves open near the rail; at 1e-6 it holds
# them all. It grows until the system is positive definite in float64.
_NOISE = 1e-9
_PULLS = 10.0 ** np.arange(-12, 3, 2)
# Beyond this share of clipped samples a frame's predictor is a guess.
_MILD = 0.6


class JanssenInfo(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio was taken to be clipped.
    frames: number of those with a clipped sample, which were declipped.
  """

  rails: Rails
  frames: int


def janssen(
  audio: np.ndarray,
  clip_level: ClipLevel | None = None,
  *,
  frame: int = 4096,
  hop: int = 2048,
  order: int = 256,
  iterations: int = 5,
  show_progress: bool = False,
) -> tuple[np.ndarray, JanssenInfo]:
  """Declips audio by autoregression, each channel of each item by itself.

  At 44.1 kHz take a frame of 8192 and an order of 512. It is for mild clipping:
  where more than about half of the samples are clipped there is little to
  predict from.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    clip_level: see `resolve_rails`; None: found from the audio.
    frame: samples of a frame, a multiple of `hop`.
    hop: samples between frames, at most half of `frame`.
    order: samples that the predictor looks back.
    iterations: their number.
    show_progress: bar on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, of the audio's type (the work is in float64), and
    a record of the work. Reliable samples come back as they are.

  Raises:
    UserError: the audio is not finite, or an option cannot be used.
  """
  check_counts(frame=frame, hop=hop, order=order, iterations=iterations)
  if frame % hop or frame < 2 * hop:
    raise UserError(f"hop {hop}: give half, a third, ... of the frame, {frame}")
  if order >= frame:
    raise UserError(f"order {order}: give one below the frame, {frame}")
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  signs = clip_signs(audio, rails)
  allowed = bounds(audio, rails, signs)
  start = np.clip(0.0, *allowed)  # clipped samples at the rail
  change = np.zeros(audio.shape)
  frames = _clipped_frames(signs, frame, hop)
  # Half a sample off, so that windows of hop 1 / 2 add up to 1 at all samples.
  window = stft.window(2 * frame, dtype=np.float64)[1::2]
  window /= np.sum(window[::hop])
  with Progress(
    len(frames),
    "declipped %.0f %% of the clipped frames",
    unit="frame",
    is_shown=show_progress,
  ) as progress:
    for item, channel, first in frames:
      span = slice(max(0, first), first + frame)
      part = start[item, span, channel]
      mask = signs[item, span, channel] != 0
      weight = window[span.start - first :][: len(part)]
      restored = _interpolate(part, mask, order, iterations)
      change[item, span, channel] += weight * (restored - part)
      progress.advance(1)
  restored = np.clip(start + change, *allowed).astype(audio.dtype)
  # Reliable samples are taken: adding a zero would lose the sign of -0.
  restored = np.where(signs == 0, audio, restored)
  return restored, JanssenInfo(rails, len(frames))


def _clipped_frames(
  signs: np.ndarray, frame: int, hop: int
) -> list[tuple[int, int, int]]:
  """Returns item, channel and first sample of frames with a clipped sample.

  They lie on a grid that begins at the audio's first sample and reach beyond
  both of its ends.
  """
  batch, time, channels = signs.shape
  return [
    (item, channel, first)
    for item in range(batch)
    for channel in range(channels)
    for first in range(hop - frame, time, hop)
    if signs[item, max(0, first) : first + frame, channel].any()
  ]


def _interpolate(
  start: np.ndarray, mask: np.ndarray, order: int, iterations: int
) -> np.ndarray:
  """Returns a frame whose marked samples are interpolated, from a start."""
  where = np.flatnonzero(mask)
  lags = _lags(where, order)
  known = np.where(mask, 0.0, start)
  x = start
  for i in range(1, iterations + 1):
    residual = np.append(1.0, -_predictor(x, order))
    # Second derivatives of the errors' energy, by lag.
    b = np.correlate(residual, residual, "full")[order:]
    solved = _solve(b, lags, -_filtered(known, b)[where], start[where])
    gain = 1.0
    if i > 2 and len(where) < _MILD * len(start):
      gain += (iterations - i) / (iterations - 1)
    following = x.copy()
    following[where] += gain * (solved - x[where])
    x = following
  return x


def _solve(
  b: np.ndarray, lags: np.ndarray, goal: np.ndarray, start: np.ndarray
) -> np.ndarray:
  """Solves B x = goal, B being `b` at the lags, with x drawn to a start."""
  for pull in b[0] * _PULLS:
    matrix = np.append(b, 0.0)[lags]
    matrix[:, 0] += pull
    try:
      return scipy.linalg.solveh_banded(
        matrix.T,
        goal + pull * start,
        lower=True,
        overwrite_ab=True,
        check_finite=False,
      )
    except np.linalg.LinAlgError:
      continue
  return start


def _lags(where: np.ndarray, order: int) -> np.ndarray:
  """Returns samples from each position to itself and the next, one a column.

  There are as many columns as any has others within the order; what is beyond
  has `order + 1`.
  """
  within = np.searchsorted(where, where + order, side="right")
  width = np.max(within - np.arange(len(where)))
  far = np.full(width, where[-1] + order + 1)
  following = np.concatenate([where, far])
  following = np.lib.stride_tricks.sliding_window_view(following, width)
  return np.minimum(following[: len(where)] - where[:, None], order + 1)


def _predictor(x: np.ndarray, order: int) -> np.ndarray:
  """Returns coefficients a: x[n] is about the sum of a[k - 1] x[n - k]."""
  size = scipy.fft.next_fast_len(len(x) + order, real=True)
  power = np.square(np.abs(scipy.fft.rfft(x, size)))
  correlation = scipy.fft.irfft(power, size)[: order + 1]
  correlation[0] *= 1.0 + _NOISE
  if not correlation[0]:
    return np.zeros(order)
  return scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])


def _filtered(x: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Returns the convolution with b, which is symmetric, as long as x."""
  size = scipy.fft.next_fast_len(max(len(x), len(b)) + len(b), real=True)
  kernel = np.concatenate([b, np.zeros(size - 2 * len(b) + 1), b[:0:-1]])
  spectrum = scipy.fft.rfft(x, size) * scipy.fft.rfft(kernel)
  return scipy.fft.irfft(spectrum, size)[: len(x)]
