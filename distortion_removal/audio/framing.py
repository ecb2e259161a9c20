"""Splits signals into overlapping frames, and adds frames up to signals.

Both slice blocks of one hop. The gradient of a slice is a slice again, much
faster than that of gathered samples.
"""

import jax
import jax.numpy as jnp
import numpy as np


def split_frames(signal: jax.Array, size: int, hop: int) -> jax.Array:
  """Splits `[…, time]` into `[…, (time - size) // hop + 1, size]`.

  Args:
    signal: at least `size` samples long.
    size: samples of a frame.
    hop: samples from one frame's start to the next.
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
  """Adds up `[…, count, size]` to `[…, (count - 1) * hop + size]`.

  The transpose of `split_frames`; NumPy arrays stay NumPy arrays.
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
