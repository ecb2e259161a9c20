"""Restores one recording with a declipper: `restore IN -o OUT --method=aspade`.

The file streams through in long chunks at its own sample rate, channels and
level, as float64, which holds the samples of any format. The rails are found
once, for the whole file, unless given.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal import declipping
from distortion_removal.audio import chunks, files
from distortion_removal.common.log import logger
from distortion_removal.declipping import fusion, gabor, nmf
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.declipping.means import frames_and_hops
from distortion_removal.declipping.segments import Cut
from distortion_removal.declipping.spade import SpadeInfo, Termination
from distortion_removal.inference import output
from distortion_removal.inference.clipping import (
  Survey,
  marked_blocks,
  read_blocks,
  survey,
)
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.output import Outcome
from distortion_removal.inference.soft_clipping import Knee

# Samples of all channels that are declipped at a time: the overlap with the
# neighbours is a few frames of it.
_CHUNK = 1 << 20
_FADED_FRAMES = 4
# Segments of all channels that a low-rank model is given at a time, one a core.
_SEGMENTS = 8

Restorer = Callable[[np.ndarray, Rails], np.ndarray]


def declip_file(
  source: Path,
  target: Path,
  method: str,
  clip_level: float | tuple[float, float] | None = None,
  *,
  knee: Knee | None = None,
  clipping: Survey | None = None,
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
  **options: Any,
) -> Outcome:
  """Declips one audio file; rate, channels and level stay.

  Args:
    source: the recording.
    target: where it goes, as in `restore_file`; as is `subtype`.
    method: name of a declipper.
    clip_level: level of both rails, or (low, high); None: found from the
      recording.
    knee: amplitude beyond which the recording is softly clipped, or (low,
      high), or "find"; None: it is not, or stays so.
    clipping: what `survey` has found; else the recording is surveyed.
    subtype: sample format of the target.
    dither: dithers an integer format, see `output.write`; not a recording that
      is not clipped and fits into the format as it is.
    finish: what of the restoration is taken.
    **options: the declipper's own. Unless given, `frame` follows the sample
      rate, and `hop` the frame.

  Returns:
    What was done, and where it is clipped. Where nothing is, the result is the
    source, to the sample if its format can be.
  """
  info = files.info(source)
  options = _with_defaults(method, options, info.sample_rate)
  form = {"dither": dither, "finish": finish}
  subtype = output.choose_subtype(target, info, subtype, **form)
  declipping.check_options(method, options, clip_level)
  clipping = clipping or survey(source, clip_level, knee)
  terminations = []

  def restored(reader: files.Reader) -> Iterator[np.ndarray]:
    return declipped_blocks(reader, method, clipping, options, terminations)

  return write_restored(
    source,
    target,
    clipping,
    restored,
    lambda: _convergence(terminations),
    subtype=subtype,
    **form,
  )


def write_restored(
  source: Path,
  target: Path,
  clipping: Survey,
  restored: Callable[[files.Reader], Iterator[np.ndarray]],
  note: Callable[[], str] = str,
  **form: Any,
) -> Outcome:
  """Writes what is restored of a clipped recording, or the recording as it is.

  Args:
    source: the recording.
    target: where it goes.
    clipping: what `survey` has found.
    restored: makes the recording's blocks, if it is clipped.
    note: makes what is to be said of the work when it is done.
    **form: `subtype`, `dither` and `finish`, see `declip_file`.
  """
  info = files.info(source)
  found = clipping.as_json(info.frames * info.channels)
  if not clipping.count:
    return Outcome(copy(info, target, clipping, **form), found)
  line = describe(clipping, info)
  logger.info("%s: %s", source, line)
  with files.open_reader(source) as reader:
    overflow = output.write_by_way_of_scratch(
      target,
      restored(reader),
      reader,
      dtype="float64",
      rails=clipping.rails,
      **form,
    )
  notes = line, note(), overflow, clipping.note
  return Outcome("; ".join(filter(None, notes)), found)


def _convergence(terminations: list[np.ndarray]) -> str:
  ends = np.concatenate([np.empty(0), *terminations])
  if not len(ends):
    return ""
  converged = 100 * np.mean(ends == Termination.CONVERGED)
  return f"{converged:.3g} % of the clipped frames converged"


def _largest(
  source: Path, method: str, clipping: Survey, options: dict[str, Any]
) -> dict[int, float]:
  """Returns a recording's largest coefficient for each low-rank frame."""
  return {
    frame: gabor.largest_coefficient(
      read_blocks(source), clipping.rails, frame, hop
    )
    for frame, hop in _low_rank_sizes(method, options)
  }


def _low_rank_sizes(
  method: str, options: dict[str, Any]
) -> list[tuple[int, int]]:
  """Returns the frames and hops of all low-rank models."""
  sizes = frames_and_hops(options)
  if method not in fusion.PRESETS:
    return sizes
  parts = (fusion.low_rank_sizes(method, *size) for size in sizes)
  return sorted(set(itertools.chain(*parts)))


def _with_defaults(
  method: str, options: dict[str, Any], sample_rate: int
) -> dict[str, Any]:
  parameters = inspect.signature(declipping.declipper(method)).parameters
  defaults = {
    name: parameter.default
    for name, parameter in parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
  }
  if "frame" in options and "hop" not in options:
    hop = declipping.usual_hop(method, options["frame"])
    options = options | {"hop": hop}
  return defaults | declipping.options_at(method, sample_rate) | options


def describe(found: Survey, source: files.Reader) -> str:
  """Says at which levels how much of a recording is clipped."""
  share = found.count / (source.frames * source.channels)
  return f"{found.levels}: {100 * share:.3g} % of the samples"


def copy(
  source: files.Reader,
  target: Path,
  found: Survey,
  **form: Any,
) -> str:
  """Writes a recording that is not clipped, see `output.copy`, and says so."""
  result = output.copy(source, target, found.peak, **form)
  doubts = "".join(f"; {x}" for x in (found.doubts, found.note) if x)
  clipped = "hard clipped" if found.note else "clipped"
  return (
    f"nothing is {clipped}, {result}{doubts}; the peak is {found.peak:.6g}: if "
    "it is clipped, say where by --clip-level=LEVEL"
  )


def declipped_blocks(
  reader: files.Reader,
  method: str,
  found: Survey,
  options: dict[str, Any] | None = None,
  terminations: list[np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
  """Yields the recording declipped, in blocks `[time, channels]`.

  Args:
    reader: the recording.
    method: name of a declipper.
    found: where it is clipped.
    options: the declipper's; None: those of the sample rate.
    terminations: gets the ends of the work on clipped frames, from methods that
      work frame by frame.
  """
  options = options or _with_defaults(method, {}, reader.sample_rate)
  if "largest" in options:
    largest = _largest(reader.path, method, found, options)
    options = options | {"largest": largest}
  chunking = _chunking(method, options, reader.frames, reader.channels)
  # One bar: for the work on the only chunk, or for the chunks.
  is_one_chunk = chunking["chunk"] == reader.frames
  options = options | {"show_progress": is_one_chunk}
  declipper = functools.partial(declipping.declipper(method), **options)
  ends = [] if terminations is None else terminations

  def restored(chunk: np.ndarray, rails: Rails) -> np.ndarray:
    result, info = declipper(chunk, clip_level=rails)
    for part in info if isinstance(info, list) else [info]:
      if isinstance(part, SpadeInfo):
        is_clipped = part.termination != Termination.UNTOUCHED
        ends.append(part.termination[is_clipped])
    return result

  results = restored_blocks(reader, restored, found, chunking)
  if is_one_chunk:
    return results
  return output.show_progress(results, reader.frames)


def restored_blocks(
  reader: files.Reader,
  restorer: Restorer,
  found: Survey,
  chunking: dict[str, Any],
) -> Iterator[np.ndarray]:
  """Yields a recording in blocks `[time, channels]`, restored in chunks.

  Args:
    reader: the recording.
    restorer: function of a chunk and its rails.
    found: where it is clipped.
    chunking: see `apply_to_stream`.
  """

  def restored(chunk: np.ndarray) -> np.ndarray:
    rails = found.rails
    if found.is_marked:
      chunk, marks = np.split(chunk, 2, axis=2)
      rails = rails._replace(marks=marks.astype(np.int8))
    return restorer(chunk, rails)

  blocks = reader.blocks(dtype="float64")
  if found.is_marked:
    # The marks go along as channels of their own.
    pairs = marked_blocks(blocks, found)
    blocks = (np.concatenate(pair, axis=1) for pair in pairs)
  blocks = (block[None] for block in blocks)
  results = chunks.apply_to_stream(restored, blocks, **chunking)
  return (block[0] for block in results)


def _chunking(
  method: str, options: dict[str, Any], frames: int, channels: int
) -> dict[str, Any]:
  """Returns how a recording is cut, see `apply_to_stream`."""
  sizes = frames_and_hops(options)
  frame, hop = max(sizes)
  context, overlap = None, _FADED_FRAMES * frame
  share_grid = all(hop % other == 0 for _, other in sizes)
  if method in declipping.FRAMEWISE and share_grid:
    context, overlap = (frame, frame), 2 * frame
  chunk = max(_CHUNK // channels, 4 * overlap) // hop * hop
  if "largest" in options:
    longest, _, overlap = (frame * length for length in nmf.CUT)
    more = max(1, _SEGMENTS // channels) - 1
    cut = Cut(longest + more * (longest - overlap), hop, overlap)
    chunk = cut.evenly(frames).longest
  if frames <= chunk:
    return {"chunk": frames, "overlap": 0}
  return {"chunk": chunk, "overlap": overlap, "hop": hop, "context": context}
