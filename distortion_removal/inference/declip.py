"""Restores one recording with a declipper: `restore IN -o OUT --method=aspade`.

The file streams through in long chunks at its own sample rate, channels and
level, as float64, which holds the samples of any format. Where the rails are is
found once, for the whole file, unless given.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distortion_removal import declipping
from distortion_removal.audio import chunks, files
from distortion_removal.common.log import logger
from distortion_removal.declipping import clip_level as rails
from distortion_removal.declipping.spade import framewise
from distortion_removal.declipping.spade.framewise import Termination
from distortion_removal.inference import (
  declip_options,
  survey,
)
from distortion_removal.inference import (
  output as recording,
)

# Samples of all channels that are declipped at a time: what overlaps its
# neighbours is a few frames of it.
_CHUNK = 1 << 20
_FADED_FRAMES = 4


@dataclasses.dataclass
class _Work:
  """Counts what became of the frames that hold clipped samples."""

  frames: int = 0
  converged: int = 0

  def add(self, info: Any) -> None:
    """Social sparsity works on no such frames; nothing is counted."""
    if isinstance(info, framewise.Info):
      ends = info.termination
      self.frames += np.count_nonzero(ends != Termination.UNTOUCHED)
      self.converged += np.count_nonzero(ends == Termination.CONVERGED)

  def __str__(self) -> str:
    if not self.frames:
      return ""
    share = self.converged / self.frames
    return f"; {100 * share:.3g} % of the clipped frames converged"


def restore(
  source: Path,
  target: Path,
  method: str,
  clip_level: float | tuple[float, float] | None = None,
  *,
  subtype: str | None = None,
  **options: Any,
) -> str:
  """Declips one audio file; rate, channels and level stay.

  Args:
    source: any file libsndfile reads, of any rate, length and channel count.
    target: where the result goes; its suffix names the format. It is written
      beside and renamed, so that it is either whole or not there.
    method: name of a declipper.
    clip_level: of both rails, or (low, high); None: found from the recording.
    subtype: sample format of the result; the source's own, where the target's
      format has it. If it is an integer format that would clip what has been
      restored, the whole is lowered.
    **options: the declipper's own.

  Returns:
    A line that says what was done. Where nothing is clipped, the result is the
    source, to the sample if its format can be.

  Raises:
    UserError: the source or an option cannot be used.
  """
  options = declip_options.complete(method, options)
  info = files.info(source)
  subtype = recording.output_subtype(target, info, subtype)
  declipping.check_options(method, options, clip_level)
  found = survey.survey(source, clip_level)
  if not found.clipped:
    return _copy(info, target, found.peak, subtype)
  share = found.clipped / (info.frames * info.channels)
  line = f"clipped at {found.levels}: {100 * share:.3g} % of the samples"
  logger.info("%s: %s", source, line)
  return line + str(
    _declip(source, target, method, found.rails, subtype, options)
  )


def _copy(
  source: files.Reader, target: Path, peak: float, subtype: str | None
) -> str:
  """Writes what is not clipped as it is, and says so."""
  blocks = recording.read_blocks(source.path)
  gain = recording.write(target, blocks, source, subtype=subtype, peak=peak)
  changes = ""
  if gain < 1.0:
    changes += f" but {-20 * np.log10(gain):.1f} dB quieter"
  if subtype != source.subtype:
    changes += f", as {subtype or target.suffix}"
  return (
    f"nothing is clipped, the result is the input{changes}; its peak is "
    f"{peak:.6g}: if it is clipped, say where by --clip-level=LEVEL"
  )


def _declip(
  source: Path,
  target: Path,
  method: str,
  found: rails.Rails,
  subtype: str | None,
  options: dict[str, Any],
) -> _Work:
  """Restores by way of a scratch file: the peak decides on the level."""
  after, work = recording.Energy(), _Work()
  with (
    files.open_reader(source) as reader,
    files.scratch_file(
      target, reader.sample_rate, reader.channels, dtype="float64"
    ) as scratch,
  ):
    for block in after.watch(_restored(reader, method, found, options, work)):
      scratch.write(block)
    recording.write(
      target, scratch.read_blocks(), reader, subtype=subtype, peak=after.peak
    )
  return work


def _restored(
  reader: files.Reader,
  method: str,
  found: rails.Rails,
  options: dict[str, Any],
  work: _Work,
) -> Iterator[np.ndarray]:
  """The recording, declipped, in blocks; counts in `work` what was done."""
  chunking = _chunking(method, options, reader.frames, reader.channels)
  # One bar: of the work on the only chunk, or of the chunks.
  is_one_chunk = chunking["chunk"] == reader.frames
  declipper = functools.partial(
    declipping.declipper(method),
    clip_level=found,
    **options | {"show_progress": is_one_chunk},
  )

  def restored(chunk: np.ndarray) -> np.ndarray:
    output, info = declipper(chunk)
    work.add(info)
    return output

  blocks = (block[None] for block in reader.blocks(dtype="float64"))
  outputs = chunks.apply_to_stream(restored, blocks, **chunking)
  outputs = (block[0] for block in outputs)
  if is_one_chunk:
    return outputs
  return recording.progress(outputs, reader.frames)


def _chunking(
  method: str, options: dict[str, Any], frames: int, channels: int
) -> dict[str, Any]:
  """How a recording is cut, see `apply`.

  The frames of A-SPADE and S-SPADE do not know of each other and lie on a grid
  that begins at the first sample: chunks of whole hops are joined exactly.
  """
  frame, hop = options["frame"], options["hop"]
  context, overlap = None, _FADED_FRAMES * frame
  if method in ("aspade", "sspade"):
    context, overlap = (frame, frame), 2 * frame
  chunk = max(_CHUNK // channels, 4 * overlap) // hop * hop
  if frames <= chunk:
    return {"chunk": frames, "overlap": 0}
  return {"chunk": chunk, "overlap": overlap, "hop": hop, "context": context}
