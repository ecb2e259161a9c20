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

from distortion_removal.audio import stft
from distortion_removal.common.errors import UserError
from distortion_removal.common.progress import Progress
from distortion_removal.declipping import check_precision
from distortion_removal.declipping.clip_level import (
  ClipLevel,
  Rails,
  as_samples,
  clip_signs,
  farther_rails,
  resolve_rails,
)
from distortion_removal.declipping.spade import iteration, solver


class Termination(enum.IntEnum):
  """How work on a frame ended."""

  UNTOUCHED = 0  # nothing of it is clipped
  CONVERGED = 1
  ITERATION_LIMIT = 2


class Info(NamedTuple):
  """A record of the work.

  Attributes:
    rails: where the audio was taken to be clipped.
    iterations: `[batch, channels, frames]` int32. Frames are in order; they
      have their centres at multiples of `hop`, the first few before the audio.
    termination: `[batch, channels, frames]` int8, of `Termination`.
  """

  rails: Rails
  iterations: np.ndarray
  termination: np.ndarray


def spade(
  new_spectrum: iteration.NewSpectrum,
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
) -> tuple[np.ndarray, Info]:
  """Declips audio: the sparsest frames that agree with the recording.

  The defaults are those of Imort et al. 2022 (16 kHz); the survey of Záviška
  et al. (IEEE JSTSP 2021, 44.1 kHz) has frame 8192, hop 2048 and r 2. Samples
  that are not clipped come back as they are, to the bit, and so does audio of
  which nothing is clipped.

  Args:
    new_spectrum: makes it A- or S-SPADE, see `iteration`.
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
    ValueError: the audio is not `[batch, time, channels]`.
  """
  settings = iteration.Settings(frame, hop, redundancy, s, r)
  settings.check()
  check_precision(precision)
  if not epsilon > 0.0:
    raise UserError(f"epsilon is {epsilon}: no frame would end; give one > 0")
  audio = as_samples(audio)
  rails = resolve_rails(audio, clip_level)
  signs = clip_signs(audio, rails)
  low, high = (side[:, None].astype(audio.dtype) for side in rails)
  within = np.clip(audio, low, high).astype(np.result_type(audio, precision))
  units = farther_rails(rails) if relative else np.ones_like(rails.low)
  change, iterations, termination = _declip_frames(
    within,
    signs,
    (epsilon * units).astype(precision),
    iteration.Spade(settings, new_spectrum),
    show_progress,
  )
  # Reliable samples are taken, not a zero added: it would lose the sign of -0.
  restored = np.where(signs == 0, audio, within + change)
  return restored, Info(rails, iterations, termination)


aspade = functools.partial(spade, iteration.analysis_spectrum)
sspade = functools.partial(spade, iteration.synthesis_spectrum)


class _Grid(NamedTuple):
  """Frames as `overlap` successive blocks of `hop` samples.

  The first begins with the first block, `margin` samples before the audio.
  Blocks are arrays `[batch, channels, blocks, hop]`.
  """

  time: int
  hop: int
  overlap: int
  frames: int
  margin: int

  @classmethod
  def over(cls, time: int, frame: int, hop: int) -> "_Grid":
    """Makes every frame that overlaps `time` samples, at least one of them."""
    early = (frame // 2 - 1) // hop  # frames with centres before the audio
    late = (max(time, 1) - 1 + frame // 2) // hop
    margin = frame // 2 + early * hop
    return cls(time, hop, frame // hop, early + 1 + late, margin)

  def split(self, audio: np.ndarray) -> np.ndarray:
    """Cuts `[batch, time, channels]` into blocks, with zeros around it."""
    batch, _, channels = audio.shape
    total = (self.frames + self.overlap - 1) * self.hop
    padded = np.zeros((batch, channels, total), audio.dtype)
    inside = slice(self.margin, self.margin + self.time)
    padded[..., inside] = audio.swapaxes(1, 2)
    return padded.reshape(batch, channels, total // self.hop, self.hop)

  def join(self, blocks: np.ndarray) -> np.ndarray:
    """Undoes `split`."""
    batch, channels, count, hop = blocks.shape
    padded = blocks.reshape(batch, channels, count * hop)
    return padded[..., self.margin : self.margin + self.time].swapaxes(1, 2)

  def take(self, blocks: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Returns frames `[count, frame]`, given their indices `[3, count]`."""
    item, channel, number = where[:, :, None]
    taken = blocks[item, channel, number + np.arange(self.overlap)]
    return taken.reshape(-1, self.overlap * self.hop)

  def add(
    self, blocks: np.ndarray, where: np.ndarray, frames: np.ndarray
  ) -> None:
    """Adds different frames to the blocks that they cover."""
    item, channel, number = where
    parts = frames.reshape(-1, self.overlap, self.hop)
    for i in range(self.overlap):
      blocks[item, channel, number + i] += parts[:, i]

  def clipped(self, signs: np.ndarray) -> np.ndarray:
    """Returns indices `[3, count]` of frames with a clipped sample."""
    is_clipped = signs.any(axis=-1)
    each = (is_clipped[..., i : i + self.frames] for i in range(self.overlap))
    return np.stack(np.nonzero(sum(each)))


def _declip_frames(
  within: np.ndarray,
  signs: np.ndarray,
  epsilon: np.ndarray,
  method: iteration.Spade,
  show_progress: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Declips audio within its rails, with an epsilon `[batch, channels]`.

  Returns:
    The change of the audio, and iterations and termination as in `Info`.
  """
  batch, time, channels = within.shape
  frame, hop = method.settings.frame, method.settings.hop
  grid = _Grid.over(time, frame, hop)
  audio_blocks, sign_blocks = grid.split(within), grid.split(signs)
  window = stft.window(frame, dtype=np.float64)
  power = np.tile((window**2).reshape(-1, hop).sum(0), grid.overlap)
  dual = (window / power).astype(within.dtype)
  window = window.astype(within.dtype)
  change = np.zeros_like(audio_blocks)
  iterations = np.zeros((batch, channels, grid.frames), np.int32)
  termination = np.zeros(iterations.shape, np.int8)

  def problem(where: np.ndarray) -> iteration.Problem:
    windowed = grid.take(audio_blocks, where) * window
    return iteration.Problem(
      windowed.astype(epsilon.dtype),
      grid.take(sign_blocks, where),
      epsilon[*where[:2]],
    )

  where = grid.clipped(sign_blocks)
  with Progress(
    where.shape[1],
    "declipped %.0f %% of the clipped frames",
    unit="frame",
    is_shown=show_progress,
  ) as progress:
    for part, result in solver.solve(method, problem, where, epsilon.dtype):
      grid.add(change, part, result.change * dual)
      iterations[*part] = result.iterations
      termination[*part] = np.where(
        result.converged, Termination.CONVERGED, Termination.ITERATION_LIMIT
      )
      progress.advance(part.shape[1])
  return grid.join(change), iterations, termination
