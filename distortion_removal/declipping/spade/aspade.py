"""A-SPADE, the analysis variant: the paper's baseline for declipping.

Kitić, Bertin, Gribonval, "Sparsity and cosparsity for audio declipping: a
flexible non-convex approach", LVA/ICA 2015, algorithm 1.
"""

import jax
import numpy as np

from distortion_removal.declipping.clip_level import ClipLevel
from distortion_removal.declipping.spade import framewise, iteration


def aspade(
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
) -> tuple[np.ndarray, framewise.Info]:
  """Declips audio: the sparsest frames that agree with what was recorded.

  The defaults are those of Imort et al. 2022 (16 kHz); the survey of Záviška
  et al. (IEEE JSTSP 2021, 44.1 kHz) has frame 8192, hop 2048 and r 2. Samples
  that are not clipped come back as they are, to the bit, and so does audio of
  which nothing is clipped.

  Args:
    audio: `[batch, time, channels]`, any time >= 1; 1.0 is full scale.
    clip_level: where it is clipped: a level for both signs, one per item
      `[batch]`, or `(low, high)`; None: found from the audio, see `rails.find`.
      What lies beyond is only known to be at the level or beyond.
    frame: samples of a frame, an even number.
    hop: samples between frames, which divides `frame`.
    redundancy: bins of the DFT over samples of a frame.
    s: by how much the number of coefficients k grows, and where it begins.
    r: iterations between two such steps.
    epsilon: where a frame is done: the norm of the difference between its
      spectrum and the k coefficients, in units of full scale. It is absolute:
      the same recording at half the level takes fewer iterations.
    relative: `epsilon` is in units of the rail instead (of the larger one of
      the two), so that the result scales with the input.
    precision: "float32" or "float64", of the iteration. The former follows
      another path where two coefficients nearly tie, some 40 dB below the
      result, as good a one; which one may depend on what else is worked on.
    show_progress: bar on a terminal, log lines elsewhere, for long work.

  Returns:
    `[batch, time, channels]`, float64 if audio or precision is and otherwise
    float32, and how it went.

  Raises:
    UserError: audio is not finite, or an option cannot work.
    ValueError: audio is not `[batch, time, channels]`.
  """
  settings = iteration.Settings(frame, hop, redundancy, s, r)
  return framewise.declip(
    audio,
    clip_level,
    settings=settings,
    new_spectrum=_new_spectrum,
    epsilon=epsilon,
    relative=relative,
    precision=precision,
    show_progress=show_progress,
  )


def _new_spectrum(
  target: jax.Array,
  nearest: jax.Array,
  change: jax.Array,
  transform: iteration.Transform,
) -> jax.Array:
  """The spectrum of x is A x: x is nearest to A*(z - u) in the samples."""
  del target, nearest
  return transform(change)
