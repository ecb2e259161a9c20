"""A Gabor frame that is a Parseval frame, for iterations that need many."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from distortion_removal.audio import stft
from distortion_removal.audio.framing import overlap_add, split_frames
from distortion_removal.common.errors import UserError
from distortion_removal.declipping import check_counts
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.declipping.segmentwise import rail_units

_BLOCK_FRAMES = 64  # that are transformed at a time


def check_frames(frame: int, hop: int, redundancy: int) -> None:
  """Raises UserError unless frames so long and so far apart fit together."""
  check_counts(frame=frame, hop=hop, redundancy=redundancy)
  if frame % 2 or frame % hop or frame < 2 * hop:
    raise UserError(
      f"a frame of {frame} samples with hop {hop} cannot be put together "
      "again: take an even frame and half, a quarter, ... of it"
    )


class Gabor(NamedTuple):
  """Zero-padded DFTs of Hann-windowed frames, all that overlap a signal.

  The window is divided by the root of the sum of its shifted squares, and the
  DFT is unitary: the coefficients have the energy of the signal (those between
  zero and the Nyquist frequency counted twice, for the negative frequencies),
  and `synthesis` is both the adjoint and the left inverse of `analysis`.

  `check_frames` says which sizes there are.
  """

  frame: int  # samples of a window
  hop: int  # samples between frames
  redundancy: int  # DFT bins for each sample of a frame
  # The signal's end is followed by its start, not by zeros: it is a frame long
  # or longer, then, and has a frame for each hop.
  circular: bool = False

  def analysis(
    self, signal: jax.Array, chosen: jax.Array | None = None
  ) -> jax.Array:
    """Transforms `[…, time]`, whole hops, to `[…, frames, bins]`.

    Args:
      signal: the signal.
      chosen: indices of the frames that are wanted; None: all, in order.
    """
    reach = self.frame - self.hop
    edges = (0, reach) if self.circular else (reach, reach)
    padding = [(0, 0)] * (signal.ndim - 1) + [edges]
    mode = "wrap" if self.circular else "constant"
    frames = split_frames(jnp.pad(signal, padding, mode), self.frame, self.hop)
    if chosen is not None:
      frames = frames[..., chosen, :]
    # The DFT's scale is the window's: there are fewer samples than bins.
    size = self.frame * self.redundancy
    frames *= (self.window() / np.sqrt(size)).astype(signal.dtype)
    return jnp.fft.rfft(frames, size)

  def synthesis(
    self,
    spectrum: jax.Array,
    chosen: jax.Array | None = None,
    count: int | None = None,
  ) -> jax.Array:
    """Transforms `[…, frames, bins]` to `[…, time]`.

    Args:
      spectrum: the coefficients.
      chosen: the frames that these are, each once; the others are zero. None:
        all, in order.
      count: number of all frames, where some are chosen.
    """
    reach = self.frame - self.hop
    size = self.frame * self.redundancy
    frames = jnp.fft.irfft(spectrum, size)[..., : self.frame]
    frames *= (self.window() * np.sqrt(size)).astype(frames.dtype)
    if chosen is not None:
      # Where each frame lies among the chosen; their end, zeros, if nowhere.
      places = (
        jnp.full(count, len(chosen)).at[chosen].set(jnp.arange(len(chosen)))
      )
      frames = jnp.pad(frames, [(0, 0)] * (frames.ndim - 2) + [(0, 1), (0, 0)])
      frames = frames[..., places, :]
    signal = overlap_add(frames, self.hop)
    if self.circular:
      wrapped = signal[..., :reach] + signal[..., -reach:]
      return jnp.concatenate([wrapped, signal[..., reach:-reach]], -1)
    return signal[..., reach:-reach]

  def window(self) -> np.ndarray:
    """Returns the window of both transforms, float64."""
    window = stft.window(self.frame, dtype=np.float64).reshape(-1, self.hop)
    window = window / np.sqrt(np.sum(window**2, axis=0))
    return window.reshape(-1)


def largest_coefficient(
  blocks: Iterable[np.ndarray], rails: Rails, frame: int, hop: int
) -> float:
  """Finds the largest coefficient of a recording, in units of its rails.

  Channels are taken together, as the root of the sum of their powers, which is
  the same however they are rotated.

  Args:
    blocks: the recording, `[time, channels]` each.
    rails: its rails, `[channels]` or `[1, channels]`.
    frame: samples of a Hann window.
    hop: samples between frames.
  """
  units = rail_units(Rails(*(side.reshape(1, -1) for side in rails[:2])))[0]
  window = Gabor(frame, hop, 1).window()
  held = np.zeros((frame - hop, len(units)))
  largest = 0.0
  end = np.zeros((frame - 1, len(units)))
  for block in itertools.chain(blocks, [end]):
    held = np.concatenate([held, block / units])
    count = (len(held) - frame) // hop + 1
    for start in range(0, count, _BLOCK_FRAMES):
      stop = min(start + _BLOCK_FRAMES, count)
      part = held[start * hop : (stop - 1) * hop + frame]
      frames = sliding_window_view(part, frame, axis=0)[::hop]
      spectrum = np.fft.rfft(frames * window, norm="ortho")
      power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=1)
      largest = max(largest, float(np.sqrt(power.max())))
    held = held[max(0, count) * hop :]
  return largest
