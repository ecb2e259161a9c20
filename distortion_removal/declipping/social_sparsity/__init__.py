"""Declipping by social sparsity: few coefficients, which keep together.

Siedenburg, Kowalski, Dörfler, "Audio declipping with social sparsity", ICASSP
2014. With persistent empirical Wiener shrinkage it gains most in the SDR of
Záviška, Rajmic, Ozerov, Rencker, "A survey and an extensive evaluation of
popular audio declipping methods", IEEE JSTSP 2021.

With D the synthesis of a signal from coefficients c, and y the recording, the
distance of D c to what the recording allows is made small:

    1/2 ||y - D c||^2 over the reliable samples
      + 1/2 ||(rail - D c)+||^2 over those clipped above, and so below,

which is 1/2 ||x - P x||^2 at x = D c, P being the projection of each sample on
an interval: [y, y], [rail, inf] or [-inf, rail]. A relaxed iterative shrinkage
S does so for one lambda after the other, starting from the last one's result:

    c <- S_lambda(z - D* (D z - P D z)),   z <- c + gamma (c - c_previous)

The step is 1, as the frame is a Parseval one: D D* = 1.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.declipping import check_counts, check_precision
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  bounds,
  clip_signs,
  farther_rails,
  resolve_rails,
)
from distortion_removal.declipping.crossfading import put_reliable_back
from distortion_removal.declipping.gabor import Gabor, check_frames
from distortion_removal.declipping.segments import Cut, Segment, group_segments
from distortion_removal.declipping.side_by_side import call_side_by_side
from distortion_removal.declipping.social_sparsity.shrinkage import Shrinkage

# In frame lengths: programs of eight lengths at most are compiled.
_CUT = Cut(longest=32, step=4, shared=2)
# Segments at a time on an accelerator. On a CPU they would wait for each other.
_SLOTS = 16
LAMBDAS = tuple(float(x) for x in np.geomspace(1e-1, 1e-4, 20))


class SocialInfo(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio is clipped.
    iterations: `[batch, channels, segments, lambdas]`, 0 where none is clipped.
  """

  rails: Rails
  iterations: np.ndarray


def social_sparsity(
  audio: np.ndarray,
  clip_level: ClipLevel | None = None,
  *,
  frame: int = 1024,
  hop: int = 256,
  redundancy: int = 2,
  shrinkage: str = "pew",
  neighbourhood: tuple[int, int] = (3, 7),
  lambdas: Sequence[float] = LAMBDAS,
  iterations: int = 500,
  tolerance: float = 1e-5,
  relaxation: float = 0.9,
  relative: bool = False,
  crossfade: int | None = None,
  precision: str = "float32",
  show_progress: bool = False,
) -> tuple[np.ndarray, SocialInfo]:
  """Declips audio by social sparsity, each channel of each item by itself.

  The survey has frame 8192 and hop 2048 at 44.1 kHz; its result is the sparse
  signal as it is, with reliable samples changed, too (`crossfade=None`).
  Ours: the iteration starts from the recording; `tolerance`, of which 1e-3
  ends early and costs decibels; outside a recording nothing is known, rather
  than zeros; long ones are cut into segments of 32 frame lengths which fade
  into each other over two, and without a clipped sample stay as they are.

  Args:
    audio: `[batch, time, channels]`, 1.0 is full scale.
    clip_level: see `resolve_rails`; None: found from the audio.
    frame: samples of a Hann window, a multiple of `hop`.
    hop: samples between frames, at most half of `frame`.
    redundancy: DFT bins for each sample of a frame.
    shrinkage: `lasso`, `wgl`, `ew` or `pew`, see `Shrinkage`.
    neighbourhood: bins and frames that `wgl` and `pew` add up, both odd.
    lambdas: thresholds of the coefficients, one after the other.
    iterations: limit for each lambda.
    tolerance: a lambda is done when an iteration changes the coefficients by
      no more than this part of their norm; 0 does all iterations.
    relaxation: gamma, from 0 (plain iterative shrinkage) to below 1.
    relative: lambdas are parts of the channel's farther rail, so that the
      result scales as the audio does; the default ones suit rails near 1.0.
    crossfade: puts reliable samples back, faded over so many samples; None
      leaves them as the method has changed them.
    precision: `float32` or `float64`, of the iteration.
    show_progress: bar on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32, and a record of the work. Channels that are not clipped come back
    as they are.

  Raises:
    UserError: the audio is not finite, or an option cannot be used.
  """
  check_frames(frame, hop, redundancy)
  check_counts(iterations=iterations)
  check_precision(precision)
  if crossfade is not None and crossfade < 0:
    raise UserError(f"crossfade of {crossfade} samples; give 0 or more")
  if not len(lambdas) or min(lambdas) <= 0:
    raise UserError(f"lambdas {tuple(lambdas)}; give one or more above 0")
  if not 0 <= relaxation < 1:
    raise UserError(f"relaxation {relaxation} is not in [0, 1); give 0.9")
  shrink = Shrinkage(shrinkage, tuple(neighbourhood))
  shrink.check()
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  signs = clip_signs(audio, rails)
  scale = farther_rails(rails) if relative else np.ones_like(rails.low)
  restored = audio.astype(np.result_type(audio, precision))
  batch, time, channels = audio.shape
  cut = Cut(*(frame * length for length in _CUT))
  counts = np.zeros((batch, channels, len(cut.spans(time)), len(lambdas)), int)
  solve = functools.partial(
    _solve,
    lambdas=np.asarray(lambdas, precision),
    iterations=iterations,
    tolerance=tolerance,
    relaxation=relaxation,
    gabor=Gabor(frame, hop, redundancy),
    shrink=shrink,
  )
  results = _solve_all(
    solve,
    cut.segments(signs != 0),
    [end / scale[:, None] for end in bounds(audio, rails, signs)],
    precision,
    show_progress,
  )
  for segment, signal, used in results:
    signal = scale[segment.item, segment.channel] * signal
    change = signal[: segment.stop - segment.start] - segment.of(audio)
    segment.of(restored)[:] += cut.weight(segment, time) * change
    counts[segment.item, segment.channel, segment.index] = used
  if crossfade is not None:
    restored = put_reliable_back(restored, audio, signs, crossfade)
  return restored, SocialInfo(rails, counts)


def _solve_all(
  solve: Callable[..., tuple[jax.Array, jax.Array]],
  segments: list[Segment],
  allowed: Sequence[np.ndarray],
  precision: str,
  show_progress: bool,
) -> Iterator[tuple[Segment, np.ndarray, np.ndarray]]:
  """Yields each segment with its signal and its `[lambdas]` iterations."""
  slots = 1 if jax.default_backend() == "cpu" else _SLOTS

  def call(members: list[Segment]) -> tuple[np.ndarray, np.ndarray]:
    # Where nothing is known, zeros are settled after one iteration.
    low = np.full((slots, members[0].length), -np.inf, precision)
    high = -low
    for i, segment in enumerate(members):
      within = i, slice(segment.stop - segment.start)
      low[within], high[within] = (segment.of(end) for end in allowed)
    with jax.enable_x64(precision == "float64"):
      return jax.device_get(solve(low, high))

  with Progress(
    len(segments),
    "declipped %.0f %% of the clipped segments",
    unit="segment",
    is_shown=show_progress,
  ) as progress:
    groups = group_segments(segments, slots)
    for members, (signals, counts) in call_side_by_side(call, groups):
      yield from zip(members, signals, counts, strict=False)
      progress.advance(len(members))


@functools.partial(jax.jit, static_argnames=("gabor", "shrink"))
def _solve(
  low: jax.Array,
  high: jax.Array,
  *,
  lambdas: jax.Array,
  iterations: int,
  tolerance: float,
  relaxation: float,
  gabor: Gabor,
  shrink: Shrinkage,
) -> tuple[jax.Array, jax.Array]:
  """Finds signals within bounds `[slots, time]`, and counts `[slots, lambdas]`.

  A slot whose coefficients have settled waits for the others, unchanged.
  """
  norm = jnp.linalg.norm

  def settle(low, high, c, threshold):
    def is_on(state):
      c, previous, count = state
      moves = norm(c - previous) > tolerance * norm(c)
      return (count == 0) | (count < iterations) & moves

    def body(state):
      c, previous, count = state
      z = c + relaxation * (c - previous)
      signal = gabor.synthesis(z)
      z -= gabor.analysis(signal - jnp.clip(signal, low, high))
      return shrink(z, threshold), c, count + 1

    c, _, count = jax.lax.while_loop(is_on, body, (c, c, 0))
    return c, count

  def solve(low, high):
    # The recording itself. From zero, relaxation would double it at once, and
    # clipped samples would stay there: nothing draws them back to the rail.
    start = gabor.analysis(jnp.clip(0, low, high))
    settled = functools.partial(settle, low, high)
    c, counts = jax.lax.scan(settled, start, lambdas)
    return gabor.synthesis(c), counts

  if len(low) > 1:
    return jax.vmap(solve)(low, high)
  # Without the selection between old and new that a batch needs.
  return jax.tree.map(lambda x: x[None], solve(low[0], high[0]))
