"""Writes restored recordings, by whatever method: format, level, progress."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress, logger
from distortion_removal.declipping.clip_level import Rails
from distortion_removal.inference import finish as finishes
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.levels import LevelMeter

# Formats that hold samples beyond full scale.
_UNLIMITED = ("FLOAT", "DOUBLE")
# Of blocks `[time, channels]`, and of their levels.
Completion = Callable[[Iterable[np.ndarray], LevelMeter], Iterator[np.ndarray]]


class Outcome(NamedTuple):
  """What became of a recording.

  Attributes:
    line: what was done, for people; "" where there is nothing to say.
    found: in the recording, for a JSON file.
  """

  line: str
  found: dict[str, Any]


def choose_subtype(
  target: Path,
  source: files.Reader,
  subtype: str | None,
  *,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> str:
  """Returns the sample format to write; refuses what cannot be written.

  Args:
    target: the file to write; its suffix names the format.
    source: the recording it is made of.
    subtype: the format asked for; None: the source's, or the nearest linear one
      that the target has, or else the target's usual one.
    dither: the samples are to be dithered, which is for linear integer formats.
    finish: what else is to be written, should the result not fit.
  """
  if source.format == "ffmpeg":
    logger.info("%s: %s, read through ffmpeg", source.path, source.subtype)
  subtype = (
    subtype or _like_source(target, source) or files.usual_subtype(target)
  )
  files.check_format(
    target, source.sample_rate, source.channels, subtype, source.frames
  )
  if dither and not files.linear_bits(subtype):
    raise UserError(
      f"{target}: --dither is for integer formats, and this is {subtype}; "
      "leave it out, or choose a format such as --subtype=PCM_16"
    )
  if finish.on_overflow == finishes.FLOAT and subtype not in _UNLIMITED:
    try:
      files.check_format(
        target, source.sample_rate, source.channels, "FLOAT", source.frames
      )
    except files.AudioFileError as error:
      raise UserError(
        f"{error}, which --on-overflow=float may need; take another overflow, "
        "or write .wav"
      ) from None
  return subtype


def _like_source(target: Path, source: files.Reader) -> str | None:
  # Compressed formats are not carried over: an MP3's would fit into a WAV.
  format_ = files.FORMATS.get(target.suffix.lower(), "")
  wanted = {
    "FLOAT": ("FLOAT", "PCM_24"),
    "DOUBLE": ("DOUBLE", "FLOAT", "PCM_24"),
    "PCM_32": ("PCM_32", "PCM_24"),
  }.get(source.subtype, (source.subtype,))
  for subtype in wanted:
    linear = subtype.startswith(("PCM_", "FLOAT", "DOUBLE"))
    if linear and soundfile.check_format(format_, subtype):
      return subtype
  return None


def show_progress(
  blocks: Iterable[np.ndarray], frames: int
) -> Iterator[np.ndarray]:
  """Yields the blocks of a recording of `frames` samples, with a bar."""
  with Progress(
    frames, "restored %.0f %%", unit="frame", is_shown=True
  ) as progress:
    for block in blocks:
      yield block
      progress.advance(len(block))


def copy(
  source: files.Reader,
  target: Path,
  peak: float,
  *,
  subtype: str,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> str:
  """Writes a recording as it is, to the sample if the format can have it.

  Args:
    source: the recording, as `files.info` has it.
    target: where it goes.
    peak: its largest magnitude.
    subtype: sample format of the target.
    dither: see `write`; samples that need no rounding are not dithered.
    finish: the difference, if asked for, is silence.

  Returns:
    What the result is, for people, and what could not stay.
  """
  bits = [files.linear_bits(format_) for format_ in (source.subtype, subtype)]
  # Samples that are codes of the format already need no rounding.
  is_exact = None not in bits and bits[0] <= bits[1] and peak <= 1.0
  result = "the result is the input"
  with files.open_reader(source.path) as reader:
    blocks = reader.blocks(dtype="float64")
    if finish.is_delta:
      result, peak, is_exact = "the difference is silence", 0.0, True
      blocks = (np.zeros_like(block) for block in blocks)
    overflow = write(
      target,
      blocks,
      source,
      subtype=subtype,
      peak=peak,
      dither=dither and not is_exact,
      on_overflow=finish.on_overflow,
    )
  changes = [overflow] if overflow else []
  is_encoded = not subtype.startswith(("PCM_", *_UNLIMITED))
  is_float = overflow and finish.on_overflow == finishes.FLOAT
  if not is_float and (is_encoded or subtype != source.subtype):
    changes.append(f"as {subtype}")
  return ", ".join([result, *changes])


def write_by_way_of_scratch(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str,
  dtype: str,
  completed: Completion | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
  rails: Rails | None = None,
) -> str:
  """Writes a recording, as `write` does, whose level is known at its end.

  Args:
    target: where it goes.
    blocks: the restored recording, `[time, channels]`.
    source: the recording it is made of.
    subtype: sample format of the target.
    dtype: sample format of the scratch file.
    completed: makes of these blocks, and their levels, those of the result;
      None: they are it.
    dither: see `write`.
    finish: what of the restoration is taken.
    rails: where the source is clipped, if that is known.

  Returns:
    As `write` does.
  """
  meter = LevelMeter()
  with files.scratch_file(
    target, source.sample_rate, source.channels, dtype=dtype
  ) as scratch:
    for block in meter.watch(blocks):
      scratch.write(block)

    def finished() -> Iterator[np.ndarray]:
      restored = scratch.read_blocks()
      if completed:
        restored = completed(restored, meter)
      return finish.apply(restored, source.path, rails)

    peak = meter.peak
    if subtype not in _UNLIMITED and (completed or not finish.is_neutral):
      peak = max(float(np.abs(block).max()) for block in finished())
    return write(
      target,
      finished(),
      source,
      subtype=subtype,
      peak=peak,
      dither=dither,
      on_overflow=finish.on_overflow,
    )


def write(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str,
  peak: float,
  dither: bool = False,
  on_overflow: str = finishes.ATTENUATE,
) -> str:
  """Writes a recording, with peaks that its format has no room for.

  Args:
    target: where it goes.
    blocks: `[time, channels]`.
    source: the recording it is made of, of the same rate, channels and length;
      the result gets its tags.
    subtype: sample format of the target.
    peak: the blocks' largest magnitude; of no account for formats of floats.
    dither: adds triangular noise within ±1 code to all samples, also to those
      that have not changed: noise that comes and goes is heard.
    on_overflow: see `Finish`.

  Returns:
    What became of peaks beyond full scale, by how much; "" where there are none
    or the format holds them.
  """
  is_over = subtype not in _UNLIMITED and peak > 1.0
  limiter = _Limiter()
  if is_over and on_overflow == finishes.FLOAT:
    subtype, dither = "FLOAT", False
  elif is_over and on_overflow == finishes.LIMIT:
    blocks = limiter.limit(blocks)
  elif is_over:
    blocks = (block / peak for block in blocks)
  files.write_blocks(
    target,
    blocks,
    source.sample_rate,
    source.channels,
    subtype=subtype,
    frames=source.frames,
    dither=dither,
    source=source,
  )
  return _describe(on_overflow, peak, limiter.count) if is_over else ""


class _Limiter:
  """Clips a recording at full scale.

  Attributes:
    count: samples that were beyond it, so far.
  """

  count = 0

  def limit(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
      self.count += np.count_nonzero(np.abs(block) > 1.0)
      yield np.clip(block, -1.0, 1.0)


def _describe(on_overflow: str, peak: float, limited: int) -> str:
  """Says what became of a peak beyond full scale."""
  over_db = f"{20.0 * np.log10(peak):.1f} dB"
  return {
    finishes.ATTENUATE: f"{over_db} quieter so that it does not clip "
    "(--on-overflow=float keeps the level)",
    finishes.FLOAT: f"as FLOAT, for its peak is {over_db} beyond full scale",
    finishes.LIMIT: f"{limited} samples are limited to full scale, by up to "
    f"{over_db}",
  }[on_overflow]
