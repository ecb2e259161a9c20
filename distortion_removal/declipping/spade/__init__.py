"""A-SPADE and S-SPADE: the sparsest frames that agree with the recording.

Kitić, Bertin, Gribonval, "Sparsity and cosparsity for audio declipping: a
flexible non-convex approach", LVA/ICA 2015, algorithm 1, is A-SPADE, the
analysis variant and the paper's baseline for declipping. Záviška, Rajmic,
Mokrý, Průša, "A proper version of synthesis-based sparse audio declipper",
ICASSP 2019, is S-SPADE, the synthesis variant.

Every frame that overlaps the audio counts, zeros being around it. Hann windows
cut the frames, their canonical dual puts them together. Only the change is put
together and added to the audio: where nothing is clipped it stays as it is, to
the bit, and frames without a clipped sample cost nothing.
"""

import enum
import functools
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.audio import stft
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.declipping import check_counts, check_precision
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  clip_signs,
  farther_rails,
  resolve_rails,
)
from distortion_removal.declipping.gabor import check_frames
from distortion_removal.declipping.spade import solver
from distortion_removal.declipping.spade.iteration import Problem, Spade


class Termination(enum.IntEnum):
  """The end of the work on a frame."""

  UNTOUCHED = 0  # nothing of it is clipped
  CONVERGED = 1
  ITERATION_LIMIT = 2


class SpadeInfo(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio was taken to be clipped.
    iterations: `[batch, channels, frames]` int32. Frames have their centres at
      multiples of `hop`, the first few before the audio.
    termination: `[batch, channels, frames]` int8, of `Termination`.
  """

  rails: Rails
  iterations: np.ndarray
  termination: np.ndarray


def spade(
  variant: str,
  audio: np.ndarray,
  clip_level: ClipLevel | None = None,
  *,
  frame: int = 1024,
  hop: int = 256,
  redundancy: int = 2,
  s: int = 1,
  r: int = 1,
  epsilon: float = 0.1,
  relative: bool = False,
  precision: str = "float32",
  show_progress: bool = False,
) -> tuple[np.ndarray, SpadeInfo]:
  """Declips audio: the sparsest frames that agree with the recording.

  The defaults are those of Imort et al. 2022 (16 kHz); the survey of Záviška
  et al. (IEEE JSTSP 2021, 44.1 kHz) has frame 8192, hop 2048 and r 2. Samples
  that are not clipped come back as they are, to the bit, and so does audio of
  which nothing is clipped.

  Args:
    variant: "analysis" for A-SPADE, "synthesis" for S-SPADE.
    audio: `[batch, time, channels]`, any time >= 1; 1.0 is full scale.
    clip_level: see `resolve_rails`; None: found from the audio. A sample beyond
      it is only known to be at the level or beyond.
    frame: samples of a frame, an even number.
    hop: samples between frames, which divides `frame`.
    redundancy: bins of the DFT over samples of a frame.
    s: number of coefficients k at the start, and by how much it grows.
    r: iterations between two such steps.
    epsilon: where a frame is done: the norm of the difference between its
      spectrum and the k coefficients, in units of full scale. It is absolute:
      the same recording at half the level takes fewer iterations.
    relative: `epsilon` is in units of the rail instead (of the larger one of
      the two), so that the result scales with the input.
    precision: "float32" or "float64", of the iteration. The former follows
      another path where two coefficients nearly tie, some 40 dB below the
      result, as good a one; which one may depend on the other frames.
    show_progress: bar on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32, and a record of the work.

  Raises:
    UserError: the audio is not finite, or an option cannot work.
  """
  method = Spade(variant, frame, hop, redundancy, s, r)
  check_frames(frame, hop, redundancy)
  check_counts(s=s, r=r)
  check_precision(precision)
  if not epsilon > 0.0:
    raise UserError(f"epsilon is {epsilon}: no frame would end; give one > 0")
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  signs = clip_signs(audio, rails)
  low, high = (side[:, None].astype(audio.dtype) for side in rails[:2])
  within = np.clip(audio, low, high).astype(np.result_type(audio, precision))
  units = farther_rails(rails) if relative else np.ones_like(rails.low)
  epsilons = (epsilon * units).astype(precision)
  change, iterations, termination = _declip_frames(
    method, within, signs, epsilons, show_progress
  )
  # Reliable samples are taken, not a zero added: it would lose the sign of -0.
  restored = np.where(signs == 0, audio, within + change)
  return restored, SpadeInfo(rails, iterations, termination)


aspade = functools.partial(spade, "analysis")
sspade = functools.partial(spade, "synthesis")


def _declip_frames(
  method: Spade,
  within: np.ndarray,
  signs: np.ndarray,
  epsilon: np.ndarray,
  show_progress: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the change of audio within its rails, and `SpadeInfo`'s record."""
  batch, time, channels = within.shape
  frame, hop = method.frame, method.hop
  overlap, half = frame // hop, frame // 2
  margin = half + (half - 1) // hop * hop
  last_centre = (max(time, 1) - 1 + half) // hop * hop
  around = (0, 0), (0, 0), (margin, last_centre + half - time)

  def frames_of(samples: np.ndarray) -> np.ndarray:
    padded = np.pad(np.ascontiguousarray(samples.swapaxes(1, 2)), around)
    return sliding_window_view(padded, frame, axis=-1)[:, :, ::hop]

  audio_frames, sign_frames = frames_of(within), frames_of(signs)
  window = stft.window(frame, dtype=np.float64)
  power = np.tile((window**2).reshape(-1, hop).sum(0), overlap)
  dual = (window / power).astype(within.dtype)
  window = window.astype(within.dtype)
  iterations = np.zeros(audio_frames.shape[:3], np.int32)
  termination = np.zeros(iterations.shape, np.int8)
  blocks = iterations.shape[2] + overlap - 1
  change = np.zeros((batch, channels, blocks, hop), within.dtype)

  def problem(where: np.ndarray) -> Problem:
    windowed = audio_frames[*where] * window
    return Problem(
      windowed.astype(epsilon.dtype), sign_frames[*where], epsilon[*where[:2]]
    )

  where = np.stack(np.nonzero(sign_frames.any(axis=-1)))
  with Progress(
    where.shape[1],
    "declipped %.0f %% of the clipped frames",
    unit="frame",
    is_shown=show_progress,
  ) as progress:
    for part, result in solver.solve(method, problem, where, epsilon.dtype):
      item, channel, number = part
      parts = (result.change * dual).reshape(-1, overlap, hop)
      for i in range(overlap):  # each block once, or additions would be lost
        change[item, channel, number + i] += parts[:, i]
      iterations[*part] = result.iterations
      termination[*part] = np.where(
        result.converged, Termination.CONVERGED, Termination.ITERATION_LIMIT
      )
      progress.advance(part.shape[1])
  change = change.reshape(batch, channels, blocks * hop)
  change = change[..., margin : margin + time].swapaxes(1, 2)
  return change, iterations, termination
