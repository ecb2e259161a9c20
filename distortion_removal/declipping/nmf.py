"""Declipping with a low-rank model of the spectrogram as a denoiser.

A recording is few sounds that come back. Non-negative matrix factorisation
(NMF) models the power Q of its spectrogram as V = H T, activations times
templates, and the Wiener gain of V against noise of variance lambda^2 is the
denoiser of an accelerated proximal gradient iteration (plug and play, FISTA).
With A the analysis of a Parseval frame, and P the projection of samples on
their bounds:

    z = A P(m),  Q = |z|^2
    H <- H (Q / V) T' / sum T,   T <- T H' (Q / V) / sum H    (divergence of
                                  Kullback and Leibler, Lee and Seung 2001)
    x' <- A* (z V / (V + lambda^2))
    m <- x' + (t - 1) / t' (x' - x),   t' = (1 + sqrt(1 + 4 t^2)) / 2

lambda falls in equal ratios. The result is P x.

Channels are decorrelated by the eigenvectors of their covariance before A and
put together again before P; their frames share the templates.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.common.errors import UserError
from distortion_removal.declipping import check_counts, check_precision
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  resolve_rails,
)
from distortion_removal.declipping.gabor import (
  Gabor,
  check_frames,
  largest_coefficient,
)
from distortion_removal.declipping.segments import Cut, pad_short
from distortion_removal.declipping.segmentwise import (
  SegmentInfo,
  declip_segments,
)

# In frame lengths: 20.8 s with 1.5 s of context at 44.1 kHz and a frame of
# 8192. Of 448 frames, 128 templates are as many as of fewer frames.
CUT = Cut(longest=112, step=2, shared=16)
_RANK_SHARE = 0.3  # templates, at most, for each frame
_FIRST_UPDATES = 50  # from the random start; they are warm afterwards
# Keeps factors away from zero, which they could not leave, and from numbers so
# small that a CPU is slow with them.
_FLOOR = 1e-20
# Programs are compiled for so many counts of frames that are transformed; of
# recordings of one segment, compiling takes as long as the work.
_COUNTS, _SHORT_COUNTS = 8, 4


def nmf(
  audio: np.ndarray,
  clip_level: ClipLevel | None = None,
  *,
  frame: int = 2048,
  hop: int = 512,
  rank: int = 128,
  iterations: int = 400,
  thresholds: tuple[float, float] = (1e-1, 1e-4),
  largest: Mapping[int, float] | None = None,
  precision: str = "float32",
  show_progress: bool = False,
) -> tuple[np.ndarray, SegmentInfo]:
  """Declips audio with a low-rank model, the channels of an item together.

  At 44.1 kHz take a frame of 4096 for guitar and mixes, 8192 for tonal music.
  Recordings of more than 112 frame lengths are cut into equal segments which
  fade into each other over 16.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    clip_level: see `resolve_rails`; None: found from the audio.
    frame: samples of a Hann window, a multiple of `hop`.
    hop: samples between frames, at most half of `frame`.
    rank: number of templates, at most; fewer for segments of few frames.
    iterations: their number.
    thresholds: the first and the last lambda, in units of `largest`.
    largest: largest coefficient of the whole recording, if this is a part of
      it, by frame length, see `largest_coefficient`; None: that of each item.
    precision: `float32` or `float64`, of the iteration.
    show_progress: bar on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32, and a record of the work. Reliable samples come back as they are.

  Raises:
    UserError: the audio is not finite, or an option cannot be used.
  """
  check_frames(frame, hop, 1)
  check_counts(rank=rank, iterations=iterations)
  check_precision(precision)
  if len(thresholds) != 2 or not thresholds[0] >= thresholds[1] > 0:
    raise UserError(f"thresholds {thresholds}; give a large and a small one")
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  largests = [
    largest[frame]
    if largest
    else largest_coefficient([item], Rails(*sides), frame, hop)
    for item, *sides in zip(audio, *rails[:2], strict=True)
  ]
  ratios = np.geomspace(*thresholds, iterations)
  gabor, time = Gabor(frame, hop, 1), audio.shape[1]
  cut = Cut(*(frame * length for length in CUT))
  counts = _SHORT_COUNTS if time <= cut.longest else _COUNTS

  def solve(item: int, low: np.ndarray, high: np.ndarray) -> jax.Array:
    squares = ((largests[item] * ratios) ** 2).astype(low.dtype)
    frames = _frames(low.shape[1], gabor)
    low, high = (pad_short(end, time, cut) for end in (low, high))
    return _solve_jointly(low, high, squares, rank, gabor, frames, counts)

  return declip_segments(
    solve,
    audio,
    rails,
    cut.evenly(time),
    precision=precision,
    show_progress=show_progress,
  )


def _solve_jointly(
  low: np.ndarray,
  high: np.ndarray,
  squares: np.ndarray,
  rank: int,
  gabor: Gabor,
  frames: int,
  counts: int,
) -> jax.Array:
  """Finds signals within bounds `[channels, time]`.

  Channels that are the same stay so. The model is that of the first `frames`,
  the others are padding: silent, without activations. Templates that these are
  too few for are padding, too.
  """
  channels, time = low.shape
  if np.all(low == low[0]) and np.all(high == high[0]):
    low, high = low[:1], high[:1]
  start = np.clip(0, low, high).astype(np.float64)
  _, rotation = np.linalg.eigh(start @ start.T)
  padding = _frames(time, gabor) - frames
  used = _rank(rank, len(low) * frames)
  rank = _rank(rank, len(low) * (frames + padding))
  rng = np.random.default_rng(0)
  activations = rng.uniform(size=(len(low), frames, used))
  templates = rng.uniform(size=(used, gabor.frame // 2 + 1))
  templates /= templates.sum(axis=1, keepdims=True)
  activations = np.pad(activations, ((0, 0), (0, padding), (0, rank - used)))
  templates = np.pad(templates, ((0, rank - used), (0, 0)))
  floor = np.where(np.arange(rank) < used, _FLOOR, 0.0)
  order, count = _order(np.any(low != high, axis=0), gabor, counts)
  activations = activations[:, order]
  signal = _solve(
    low,
    high,
    squares,
    rotation.T.astype(low.dtype),
    activations.reshape(-1, rank).astype(low.dtype),
    templates.astype(low.dtype),
    floor.astype(low.dtype),
    order,
    count=count,
    gabor=gabor,
  )
  return jnp.broadcast_to(signal, (channels, time))


def _frames(time: int, gabor: Gabor) -> int:
  return (time + gabor.frame - gabor.hop) // gabor.hop


def _rank(most: int, rows: int) -> int:
  return max(1, min(most, int(_RANK_SHARE * rows)))


def _order(
  is_clipped: np.ndarray, gabor: Gabor, counts: int
) -> tuple[np.ndarray, int]:
  """Returns frames in the order of work, and how many need the transforms.

  Those are the first: all with a clipped sample, and more, so that there are
  so many counts. The coefficients of the others stay what they are, and no
  sample that is restored is in any of them.
  """
  padded = np.pad(is_clipped, gabor.frame - gabor.hop)
  needs = sliding_window_view(padded, gabor.frame)[:: gabor.hop].any(axis=1)
  step = -(-len(needs) // counts)
  count = min(len(needs), -(-max(1, int(needs.sum())) // step) * step)
  if count == len(needs):
    return np.arange(count), count
  return np.argsort(~needs, kind="stable"), count


@functools.partial(jax.jit, static_argnames=("count", "gabor"))
def _solve(
  low: jax.Array,
  high: jax.Array,
  squares: jax.Array,
  rotation: jax.Array,
  activations: jax.Array,
  templates: jax.Array,
  floor: jax.Array,
  order: jax.Array,
  *,
  count: int,
  gabor: Gabor,
) -> jax.Array:
  """Iterates once for each of the squares of lambda.

  Args:
    low: low ends of the samples' intervals, `[channels, time]`.
    high: high ends.
    squares: squares of lambda.
    rotation: matrix that decorrelates the channels.
    activations: random ones of each channel's frames, in the order of work.
    templates: random ones.
    floor: least activation of each template; 0 for those that are padding.
    order: see `_order`.
    count: number of frames that need the transforms.
    gabor: the frame.
  """
  bins = templates.shape[1]
  chosen = order[:count] if count < len(order) else None

  def coefficients(signal, chosen):
    if len(low) > 1:
      signal = rotation @ signal
    return gabor.analysis(signal, chosen)

  def restored(spectrum):
    signal = gabor.synthesis(spectrum, chosen, len(order))
    return rotation.T @ signal if len(low) > 1 else signal

  def power_of(spectrum):
    return spectrum.real**2 + spectrum.imag**2

  def iterate(state, square):
    x, moved, t, power, factors = state
    spectrum = coefficients(jnp.clip(moved, low, high), chosen)
    power = power.at[:, :count].set(power_of(spectrum))
    factors = _updated(power.reshape(-1, bins), factors, floor)
    model = factors[2].reshape(power.shape)[:, :count]
    following = restored(model / (model + square) * spectrum)
    t_following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
    moved = following + (t - 1) / t_following * (following - x)
    return (following, moved, t_following, power, factors), None

  start = jnp.clip(0, low, high)
  power = power_of(coefficients(start, order))
  factors = activations, templates, _model(activations, templates)
  factors = jax.lax.fori_loop(
    0,
    _FIRST_UPDATES - 1,
    lambda _, factors: _updated(power.reshape(-1, bins), factors, floor),
    factors,
  )
  state = start, start, jnp.ones((), low.dtype), power, factors
  (x, *_), _ = jax.lax.scan(iterate, state, squares)
  return jnp.clip(x, low, high)


Factors = tuple[jax.Array, jax.Array, jax.Array]


def _updated(power: jax.Array, factors: Factors, floor: jax.Array) -> Factors:
  """Updates activations, then templates, then the model, their product."""
  activations, templates, model = factors
  activations *= (power / model) @ templates.T
  activations = jnp.maximum(activations, floor)
  ratio = power / _model(activations, templates)
  templates *= activations.T @ ratio
  templates /= jnp.maximum(jnp.sum(activations, axis=0), _FLOOR)[:, None]
  scale = jnp.maximum(jnp.sum(templates, axis=1), _FLOOR)
  templates = jnp.maximum(templates / scale[:, None], floor[:, None])
  activations = jnp.maximum(activations * scale, floor)
  return activations, templates, _model(activations, templates)


def _model(activations: jax.Array, templates: jax.Array) -> jax.Array:
  return jnp.maximum(activations @ templates, _FLOOR)
