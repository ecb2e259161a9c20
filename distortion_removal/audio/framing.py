"""Overlapping frames of signals, and signals of frames.

By slices of blocks of a hop: their gradients are slices again, fast where
those of gathered samples are not.
"""

import jax
import jax.numpy as jnp
import numpy as np


def split_frames(signal: jax.Array, size: int, hop: int) -> jax.Array:
  """Frames that begin every `hop` samples, as many as fit.

  Args:
    signal: `[…, time]`, at least `size` of time.
    size: samples of a frame.
    hop: samples between frames.

  Returns:
    `[…, (time - size) // hop + 1, size]`.
  """
  *outer, time = signal.shape
  count, overlap = (time - size) // hop + 1, -(-size // hop)
  total = (count + overlap - 1) * hop
  padding = [*((0, 0) for _ in outer), (0, max(0, total - time))]
  blocks = jnp.pad(signal, padding)[..., :total].reshape(*outer, -1, hop)
  frames = [blocks[..., i : i + count, :] for i in range(overlap)]
  return jnp.concatenate(frames, -1)[..., :size]


def overlap_add(
  frames: jax.Array | np.ndarray, hop: int
) -> jax.Array | np.ndarray:
  """Adds up frames that begin every `hop` samples: `split_frames` transposed.

  Args:
    frames: `[…, count, size]`; NumPy's arrays stay such.
    hop: samples between frames.

  Returns:
    `[…, (count - 1) * hop + size]`.
  """
  numpy = np if isinstance(frames, np.ndarray) else jnp
  *outer, count, size = frames.shape
  overlap = -(-size // hop)
  whole = [(0, 0)] * len(outer)
  frames = numpy.pad(frames, [*whole, (0, 0), (0, overlap * hop - size)])
  frames = frames.reshape(*outer, count, overlap, hop)
  blocks = sum(
    numpy.pad(frames[..., i, :], [*whole, (i, overlap - 1 - i), (0, 0)])
    for i in range(overlap)
  )
  return blocks.reshape(*outer, -1)[..., : (count - 1) * hop + size]
