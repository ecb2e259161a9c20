"""Applies a network to audio of any length, in constant memory.

The audio is cut into overlapping chunks of one static length, which go through
the network one by one. Where the overlap covers all that an output sample
depends on, only exact outputs are kept: the result is that of the whole
recording at once. Otherwise a cross-fade joins neighbours; its weights add up
to one, so that an identity stays an identity.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


def fade_in(length: int) -> np.ndarray:
  """Returns a raised cosine `[length, 1]`; with its reverse it sums to one."""
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
    function: maps `[batch, chunk, channels]` to the same shape.
    blocks: `[batch, time, channels]` each, of any lengths.
    chunk: samples the function sees at a time.
    overlap: samples that neighbouring chunks share, at most half a chunk.
    hop: samples by which the input must move for the output to move with it.
      Chunks begin at multiples of it, if that leaves enough overlap.
    context: samples before and after an output sample on which it depends; None
      if it depends on the whole chunk.

  Yields:
    Blocks `[batch, time, channels]` whose lengths add up to the input's.
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

  The last chunk ends with the audio, padded to whole hops: so is the whole
  recording.
  """
  before = context[0]
  held, start = None, 0  # As in `_cross_fade`.
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
  """Applies a function to whole hops of audio that are less than a chunk.

  Nothing is compiled for their length: at the beginning of a chunk their first
  part comes out exactly, at its end their last part. Only audio shorter than
  the context, which has few lengths, needs a program of its own.
  """
  length, (before, after) = audio.shape[1], context
  if length < before + after:
    return function(audio)
  extra = chunk - length
  first = function(np.pad(audio, ((0, 0), (0, extra), (0, 0))))
  last = function(np.pad(audio, ((0, 0), (extra, 0), (0, 0))))
  return np.concatenate([first[:, :before], last[:, extra + before :]], axis=1)


def _cross_fade(
  function: Function, blocks: Iterable[np.ndarray], chunk: int, overlap: int
) -> Iterator[np.ndarray]:
  """Fades from each output into the next.

  The last chunk is moved back to end with the audio, and audio shorter than a
  chunk is extended by reflection: zeros would shift the input's statistics.
  """
  hop = chunk - overlap
  fade = fade_in(overlap) if overlap else np.zeros((0, 1), np.float32)
  held, start, tail = None, 0, None  # `held` begins `start` before the chunk.
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
  # Where both are the same, so is the sum, to the bit.
  joined = tail[:, :length] + weight * (output[:, :length] - tail[:, :length])
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
  """Applies `apply_to_stream` to `[batch, time, channels]` in memory."""
  outputs = apply_to_stream(function, [audio], **chunking)
  return np.concatenate([np.asarray(block) for block in outputs], axis=1)


def of_length(
  blocks: Iterable[np.ndarray], length: int
) -> Iterator[np.ndarray]:
  """Yields a stream `[time, ...]` in blocks of a length; the last is less."""
  held, size = [], 0
  for block in blocks:
    held, size = [*held, block], size + len(block)
    while size >= length:
      whole = np.concatenate(held)
      yield whole[:length]
      held, size = [whole[length:]], size - length
  if size:
    yield np.concatenate(held)


def cut_or_fill(
  blocks: Iterable[np.ndarray], frames: int, channels: int
) -> Iterator[np.ndarray]:
  """Cuts a stream to `frames`, or fills it up with silence."""
  for block in blocks:
    yield block[:frames]
    frames -= min(frames, len(block))
  if frames:
    yield np.zeros((frames, channels), np.float32)
