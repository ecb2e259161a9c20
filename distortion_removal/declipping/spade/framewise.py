"""Audio as frames that are declipped one by one, and put together again.

Every frame that overlaps the audio counts, zeros being around it. Hann windows
cut the frames, their canonical dual puts them together. Only what is to change
is put together and added to the audio: where nothing is clipped it stays as it
is, to the bit, and frames without a clipped sample cost nothing.
"""

import enum
import functools
from typing import NamedTuple

import numpy as np

from distortion_removal.audio import stft
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress
from distortion_removal.declipping import clip_level as clipping
from distortion_removal.declipping.spade import calls, iteration


class Termination(enum.IntEnum):
  """How work on a frame ended."""

  UNTOUCHED = 0  # nothing of it is clipped
  CONVERGED = 1
  ITERATION_LIMIT = 2


class Info(NamedTuple):
  """How declipping went.

  Attributes:
    rails: where the audio was taken to be clipped.
    iterations: `[batch, channels, frames]` int32. Frame n has its centre at
      sample n * hop; the last ones, whose centres are before the audio, stand
      where a transform that wraps around has them.
    termination: `[batch, channels, frames]` int8, of `Termination`.
  """

  rails: clipping.Rails
  iterations: np.ndarray
  termination: np.ndarray


class _Grid(NamedTuple):
  """Frames as `overlap` successive blocks of `hop` samples.

  The first frame begins with the first block, `margin` samples before the
  audio; the centres of the first `early` frames are before the audio.
  """

  frame: int
  hop: int
  overlap: int
  frames: int
  margin: int
  early: int

  @classmethod
  def over(cls, time: int, frame: int, hop: int) -> "_Grid":
    """Every frame that overlaps `time` samples, at least one of them."""
    early = (frame - frame // 2 - 1) // hop
    late = (max(time, 1) - 1 + frame // 2) // hop
    margin = frame // 2 + early * hop
    return cls(frame, hop, frame // hop, early + 1 + late, margin, early)

  def split(self, rows: np.ndarray) -> np.ndarray:
    """`[rows, time]` to `[rows, blocks, hop]`, with zeros around."""
    blocks = self.frames + self.overlap - 1
    behind = blocks * self.hop - self.margin - rows.shape[1]
    padded = np.pad(rows, ((0, 0), (self.margin, behind)))
    return padded.reshape(len(rows), blocks, self.hop)

  def join(self, blocks: np.ndarray, time: int) -> np.ndarray:
    """The reverse of `split`."""
    rows = blocks.reshape(len(blocks), blocks.shape[1] * self.hop)
    return rows[:, self.margin : self.margin + time]

  def take(self, blocks: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Frames `[count, frame]`; `where` has their rows and numbers."""
    row, number = where[:, :, None]
    taken = blocks[row, number + np.arange(self.overlap)]
    return taken.reshape(-1, self.frame)

  def add(
    self, blocks: np.ndarray, where: np.ndarray, frames: np.ndarray
  ) -> None:
    """Adds different frames to the blocks that they cover."""
    row, number = where
    parts = frames.reshape(-1, self.overlap, self.hop)
    for i in range(self.overlap):
      blocks[row, number + i] += parts[:, i]

  def clipped(self, signs: np.ndarray) -> np.ndarray:
    """Where frames hold a clipped sample, for blocks of signs: `[2, count]`."""
    is_clipped = signs.any(axis=-1)
    has_clipped = sum(
      is_clipped[:, i : i + self.frames] for i in range(self.overlap)
    )
    return np.stack(np.nonzero(has_clipped))


def declip(
  audio: np.ndarray,
  clip_level: clipping.ClipLevel | None,
  *,
  settings: iteration.Settings,
  new_spectrum: iteration.NewSpectrum,
  epsilon: float,
  relative: bool,
  precision: str,
  show_progress: bool,
) -> tuple[np.ndarray, Info]:
  """Declips audio by A- or S-SPADE; `baselines.aspade` explains the arguments.

  Args:
    audio: `[batch, time, channels]`.
    clip_level: as for `rails.resolve`.
    settings: of the iteration.
    new_spectrum: what makes it A- or S-SPADE.
    epsilon: the norm to reach.
    relative: whether `epsilon` is in units of the rail.
    precision: "float32" or "float64".
    show_progress: on stderr.

  Returns:
    `[batch, time, channels]`, and how it went.

  Raises:
    UserError: audio is not finite, or an option cannot work.
  """
  settings.check()
  check_precision(precision)
  if not epsilon > 0.0:
    raise UserError(f"epsilon is {epsilon}: no frame would end; give one > 0")
  audio = clipping.as_samples(audio)
  rails = clipping.resolve(audio, clip_level)
  signs = clipping.signs(audio, rails)
  low, high = (side[:, None].astype(audio.dtype) for side in rails)
  within = np.clip(audio, low, high).astype(np.result_type(audio, precision))
  units = clipping.heights(rails) if relative else np.ones_like(rails.low)
  change, iterations, termination = _declip_rows(
    _rows(within),
    _rows(signs),
    (epsilon * units.ravel()).astype(precision),
    settings,
    functools.partial(calls.solve, settings, new_spectrum),
    show_progress,
  )
  batch, _, channels = audio.shape

  def per_item(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(batch, channels, rows.shape[1])

  # Not by adding zero, which loses the sign of a zero.
  restored = np.where(
    signs == 0, audio, within + per_item(change).swapaxes(1, 2)
  )
  return restored, Info(rails, per_item(iterations), per_item(termination))


def check_precision(precision: str) -> None:
  """Raises UserError for one that is not "float32" or "float64"."""
  if precision not in ("float32", "float64"):
    raise UserError(f"precision {precision!r}; choose float32 or float64")


def _rows(audio: np.ndarray) -> np.ndarray:
  """`[batch, time, channels]` to `[batch * channels, time]`."""
  batch, time, channels = audio.shape
  return audio.swapaxes(1, 2).reshape(batch * channels, time)


def _declip_rows(
  audio: np.ndarray,
  signs: np.ndarray,
  epsilon: np.ndarray,
  settings: iteration.Settings,
  solve: calls.Solve,
  show_progress: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The change of each row, and iterations and termination of its frames."""
  grid = _Grid.over(audio.shape[1], settings.frame, settings.hop)
  audio_blocks, sign_blocks = grid.split(audio), grid.split(signs)
  window = stft.window(settings.frame, dtype=np.float64)
  power = np.tile((window**2).reshape(-1, grid.hop).sum(0), grid.overlap)
  analysis, synthesis = (
    x.astype(audio.dtype) for x in (window, window / power)
  )
  change = np.zeros_like(audio_blocks)
  iterations = np.zeros((len(audio), grid.frames), np.int32)
  termination = np.zeros(iterations.shape, np.int8)

  def problem(where: np.ndarray) -> iteration.Problem:
    windowed = grid.take(audio_blocks, where) * analysis
    return iteration.Problem(
      windowed.astype(epsilon.dtype),
      grid.take(sign_blocks, where),
      epsilon[where[0]],
    )

  where = grid.clipped(sign_blocks)
  with Progress(
    where.shape[1],
    "declipped %.0f %% of the clipped frames",
    unit="frame",
    is_shown=show_progress,
  ) as progress:
    for part, result in solve(problem, where, epsilon.dtype):
      grid.add(change, part, result.change * synthesis)
      iterations[*part] = result.iterations
      termination[*part] = np.where(
        result.converged, Termination.CONVERGED, Termination.ITERATION_LIMIT
      )
      progress.advance(part.shape[1])
  change = grid.join(change, audio.shape[1])
  return change, *(
    np.roll(x, -grid.early, axis=1) for x in (iterations, termination)
  )
