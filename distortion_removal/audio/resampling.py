"""Resampling by soxr, of whole recordings or block by block."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

_QUALITY = "VHQ"  # Linear phase without delay; sines err by less than 1e-6.


def resample(audio: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
  """Resamples `[time, channels]` audio from `rate_in` to `rate_out` Hz.

  The first sample stays where it is; n samples become n·rate_out / rate_in.
  """
  if rate_in == rate_out:
    return audio
  return soxr.resample(audio, rate_in, rate_out, quality=_QUALITY)


def resample_blocks(
  blocks: Iterable[np.ndarray], rate_in: int, rate_out: int
) -> Iterator[np.ndarray]:
  """Resamples consecutive blocks to what `resample` makes of the whole.

  Yields:
    `[time, channels]` blocks of varying lengths, of the first one's type.
  """
  if rate_in == rate_out:
    yield from blocks
    return
  stream = None
  for block in blocks:
    if stream is None:
      stream = soxr.ResampleStream(
        rate_in,
        rate_out,
        block.shape[1],
        dtype=block.dtype.name,
        quality=_QUALITY,
      )
    yield stream.resample_chunk(block)
  if stream is not None:
    yield stream.resample_chunk(block[:0], last=True)
