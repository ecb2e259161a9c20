"""Applies a network to audio of any length, in constant memory.

The audio is cut into overlapping chunks of one static length, which go through
the network one by one, or several at a time. Where the overlap covers all that
an output sample depends on, only exact outputs are kept: the result is that of
the whole recording at once. Otherwise a cross-fade joins neighbours; its
weights add up to one, so that an identity stays an identity.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

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
  together: int = 1,
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
    together: chunks that the function gets at a time, as a larger batch. Audio
      of fewer goes through one by one, and the last chunks of other audio are
      filled up: one batch size has one program.

  Yields:
    Blocks `[batch, time, channels]` whose lengths add up to the input's.
  """
  if chunk < 1 or not 0 <= overlap <= chunk // 2:
    raise ValueError(f"overlap {overlap} is not within half of chunk {chunk}")
  if context is not None and sum(context) <= overlap:
    whole = chunk // hop * hop
    step = (whole - sum(context)) // hop * hop
    if step > 0:
      pieces = _exact_pieces(blocks, whole, step, hop, context)
      return (output for output, _ in _apply(function, pieces, together))
  aligned = (chunk - overlap) // hop * hop
  step = aligned if aligned >= chunk / 2 else chunk - overlap
  pieces = _faded_pieces(blocks, chunk, step)
  return _cross_fade(_apply(function, pieces, together), chunk - step)


class _Piece(NamedTuple):
  """A chunk, `[batch, time, channels]`.

  Attributes:
    audio: what the function gets.
    taken: what of its output counts.
    fresh: samples from where the next chunk's output begins.
  """

  audio: np.ndarray
  taken: slice
  fresh: int = 0


def _apply(
  function: Function, pieces: Iterable[_Piece], together: int
) -> Iterator[tuple[np.ndarray, int]]:
  """Yields what counts of each piece's output, and its `fresh`."""
  pieces, is_first = iter(pieces), True
  while group := list(itertools.islice(pieces, together)):
    size = len(group)
    if is_first and size < together:
      outputs = (function(piece.audio) for piece in group)
    else:
      # The last one fills the batch.
      filled = group + group[-1:] * (together - size)
      outputs = np.concatenate([piece.audio for piece in filled])
      outputs = np.split(function(outputs), together)[:size]
    for piece, output in zip(group, outputs, strict=True):
      yield output[:, piece.taken], piece.fresh
    is_first = False


def _exact_pieces(
  blocks: Iterable[np.ndarray],
  chunk: int,
  step: int,
  hop: int,
  context: tuple[int, int],
) -> Iterator[_Piece]:
  """Cuts so that the exact parts of the outputs follow each other.

  The last chunk ends with the audio, padded to whole hops: so is the whole
  recording.
  """
  before = context[0]
  held, start = None, 0  # As in `_faded_pieces`.
  for block in blocks:
    held = block if held is None else np.concatenate([held, block], axis=1)
    while held.shape[1] - start > chunk:
      taken = slice(before if start else 0, before + step)
      yield _Piece(held[:, start : start + chunk], taken)
      held, start = held[:, start:], step
  if held is None or held.shape[1] == 0:
    return
  length = held.shape[1]
  missing = -length % hop
  held = np.pad(held, ((0, 0), (0, missing), (0, 0)))
  back = held.shape[1] - chunk
  if back < 0:
    yield from _short_pieces(held, length, chunk, context)
    return
  done = start + before if start else 0
  yield _Piece(held[:, back:], slice(done - back, length - back))


def _short_pieces(
  audio: np.ndarray, length: int, chunk: int, context: tuple[int, int]
) -> Iterator[_Piece]:
  """Cuts whole hops of audio that are less than a chunk.

  Nothing is compiled for their length: at the beginning of a chunk their first
  part comes out exactly, at its end their last part. Only audio shorter than
  the context, which has few lengths, needs a program of its own.
  """
  before, after = context
  extra = chunk - audio.shape[1]
  if audio.shape[1] < before + after:
    yield _Piece(audio, slice(length))
    return
  first = np.pad(audio, ((0, 0), (0, extra), (0, 0)))
  yield _Piece(first, slice(min(before, length)))
  last = np.pad(audio, ((0, 0), (extra, 0), (0, 0)))
  yield _Piece(last, slice(extra + before, extra + length))


def _faded_pieces(
  blocks: Iterable[np.ndarray], chunk: int, step: int
) -> Iterator[_Piece]:
  """Cuts into chunks that overlap.

  The last chunk is moved back to end with the audio, and audio shorter than a
  chunk is extended by reflection: zeros would shift the input's statistics.
  """
  held, start = None, 0  # `held` begins `start` before the chunk.
  for block in blocks:
    held = block if held is None else np.concatenate([held, block], axis=1)
    while held.shape[1] - start > chunk:
      yield _Piece(held[:, start : start + chunk], slice(None), step)
      # What the last chunk may have to reach back to stays held.
      held, start = held[:, start:], step
  if held is None or held.shape[1] == 0:
    return
  length = held.shape[1]
  if length < chunk:
    padding = ((0, 0), (0, chunk - length), (0, 0))
    held = np.pad(held, padding, mode="symmetric")
    yield _Piece(held, slice(length), length)
    return
  # The part from `start` on is new.
  remaining = length - start
  yield _Piece(held[:, -chunk:], slice(chunk - remaining, None), remaining)


def _cross_fade(
  outputs: Iterable[tuple[np.ndarray, int]], overlap: int
) -> Iterator[np.ndarray]:
  """Fades from each output into the next."""
  fade = fade_in(overlap) if overlap else np.zeros((0, 1), np.float32)
  tail = None
  for output, fresh in outputs:
    yield _join(tail, output[:, :fresh], fade)
    tail = output[:, fresh:]


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
