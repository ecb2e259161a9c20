"""A network on audio of any length, in constant memory.

The audio is cut into overlapping chunks of one static length, and each chunk
goes through the network. Where the overlap covers all that an output sample
depends on, the outputs are cut where they are exact: the result is that of the
whole recording at once. Else, neighbours are joined by a cross-fade whose
weights add up to one (a partition of unity): where the network is the
identity, so is this.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


def fade_in(length: int) -> np.ndarray:
  """A raised-cosine fade, `[length, 1]`; it and its reverse add up to one."""
  phase = (np.arange(length, dtype=np.float32) + 0.5) / length
  return (0.5 - 0.5 * np.cos(np.pi * phase))[:, None].astype(np.float32)


def apply_to_stream(
  function: Function,
  blocks: Iterable[np.ndarray],
  *,
  chunk: int,
  overlap: int,
  hop: int = 1,
  context: tuple[int, int] | None = None,
) -> Iterator[np.ndarray]:
  """Applies a function of fixed-length audio to a stream of blocks.

  Args:
    function: `[batch, chunk, channels]` to the same shape.
    blocks: `[batch, time, channels]` each, of any lengths.
    chunk: samples the function sees at a time.
    overlap: samples that neighbouring chunks share, at most half a chunk.
    hop: chunks begin at multiples of it if that leaves such an overlap; what
      the function does moves with its input by so many samples.
    context: samples before and after an output sample that it depends on; None
      if it depends on the whole chunk.

  Yields:
    Blocks `[batch, time, channels]` whose lengths add up to the input's.

  Raises:
    ValueError: the overlap does not fit the chunk.
  """
  if chunk < 1 or not 0 <= overlap <= chunk // 2:
    raise ValueError(f"overlap {overlap} is not within half of chunk {chunk}")
  if context is not None and sum(context) <= overlap:
    whole = chunk // hop * hop
    step = (whole - sum(context)) // hop * hop
    if step > 0:
      return _cut(function, blocks, whole, step, hop, context)
  aligned = (chunk - overlap) // hop * hop
  step = aligned if aligned >= chunk / 2 else chunk - overlap
  return _cross_fade(function, blocks, chunk, chunk - step)


def _cut(
  function: Function,
  blocks: Iterable[np.ndarray],
  chunk: int,
  step: int,
  hop: int,
  context: tuple[int, int],
) -> Iterator[np.ndarray]:
  """Joins the exact parts of the outputs.

  The last chunk ends with the audio, but for what a whole hop lacks: what
  follows is then padding as the whole recording gets it.
  """
  before = context[0]
  held, start = None, 0  # as in `_cross_fade`
  for block in blocks:
    held = block if held is None else np.concatenate([held, block], axis=1)
    while held.shape[1] - start > chunk:
      output = function(held[:, start : start + chunk])
      yield output[:, before if start else 0 : before + step]
      held, start = held[:, start:], step
  if held is None or held.shape[1] == 0:
    return
  length = held.shape[1]
  missing = -length % hop
  held = np.pad(held, ((0, 0), (0, missing), (0, 0)))
  back = held.shape[1] - chunk
  if back < 0:
    yield _short(function, held, chunk, context)[:, :length]
    return
  done = start + before if start else 0
  yield function(held[:, back:])[:, done - back : length - back]


def _short(
  function: Function, audio: np.ndarray, chunk: int, context: tuple[int, int]
) -> np.ndarray:
  """A recording, of whole hops, that is shorter than a chunk.

  At the beginning of a chunk its first part comes out exactly, at the end of
  one its last part: no program is compiled for its length. Only a recording
  shorter than the context needs one; such have few lengths.
  """
  length, (before, after) = audio.shape[1], context
  if length < before + after:
    return function(audio)
  extra = chunk - length
  first = function(np.pad(audio, ((0, 0), (0, extra), (0, 0))))
  last = function(np.pad(audio, ((0, 0), (extra, 0), (0, 0))))
  return np.concatenate([first[:, :before], last[:, extra + before :]], axis=1)


def _cross_fade(
  function: Function,
  blocks: Iterable[np.ndarray],
  chunk: int,
  overlap: int,
) -> Iterator[np.ndarray]:
  """Fades from each output into the next.

  The last chunk is moved back so that it ends with the audio; audio shorter
  than one chunk is extended by reflection. The function is therefore never
  shown padding with zeros, which would shift its input statistics.
  """
  hop = chunk - overlap
  fade = fade_in(overlap) if overlap else np.zeros((0, 1), np.float32)
  held, start, tail = None, 0, None  # `held` begins `start` before the chunk
  for block in blocks:
    held = block if held is None else np.concatenate([held, block], axis=1)
    while held.shape[1] - start > chunk:
      output = function(held[:, start : start + chunk])
      yield _join(tail, output[:, :hop], fade)
      tail = output[:, hop:]
      # What the last chunk may have to reach back to stays held.
      held, start = held[:, start:], hop
  if held is None or held.shape[1] == 0:
    return
  remaining = held.shape[1] - start
  yield _join(tail, _last(function, held, chunk)[:, -remaining:], fade)


def _join(
  tail: np.ndarray | None, output: np.ndarray, fade: np.ndarray
) -> np.ndarray:
  """Cross-fades from the previous chunk's tail into the next output."""
  if tail is None or not tail.shape[1]:
    return output
  length = min(tail.shape[1], output.shape[1])
  weight = fade[:length]
  joined = (1 - weight) * tail[:, :length] + weight * output[:, :length]
  return np.concatenate([joined, output[:, length:]], axis=1)


def _last(function: Function, held: np.ndarray, chunk: int) -> np.ndarray:
  length = held.shape[1]
  if length >= chunk:
    return function(held[:, length - chunk :])
  padding = ((0, 0), (0, chunk - length), (0, 0))
  return function(np.pad(held, padding, mode="symmetric"))[:, :length]


def apply_chunked(
  function: Function, audio: np.ndarray, **chunking: Any
) -> np.ndarray:
  """`apply_to_stream` for audio that is in memory.

  Args:
    function: `[batch, chunk, channels]` to the same shape.
    audio: `[batch, time, channels]`.
    **chunking: as for `apply_to_stream`.

  Returns:
    `[batch, time, channels]`.
  """
  outputs = apply_to_stream(function, [audio], **chunking)
  return np.concatenate([np.asarray(block) for block in outputs], axis=1)
