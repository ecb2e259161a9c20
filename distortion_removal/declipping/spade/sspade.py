"""S-SPADE, the synthesis variant in its proper version.

Záviška, Rajmic, Mokrý, Průša, "A proper version of synthesis-based sparse
audio declipper", ICASSP 2019.
"""

import jax
import numpy as np

from distortion_removal.declipping.clip_level import ClipLevel
from distortion_removal.declipping.spade import framewise, iteration


def sspade(
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
  """Declips audio by frames that are synthesised from few coefficients.

  Arguments, result and errors are those of `aspade.aspade`. Without redundancy
  the two are the same; with it, S-SPADE looks for the coefficients c of a
  consistent frame A*c nearest to z - u, which need not be the spectrum of any
  frame, where A-SPADE looks for the frame.
  """
  return framewise.declip(
    audio,
    clip_level,
    settings=iteration.Settings(frame, hop, redundancy, s, r),
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
  """With A*A = 1, c = z - u + A(x - A*(z - u)) is the nearest."""
  return target + transform(change - nearest)
