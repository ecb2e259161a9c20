"""Writes restored recordings, by whatever method: format, level, progress."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.audio import files
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import Progress, logger


@dataclasses.dataclass
class LevelMeter:
  """Sum of squares and peak of the blocks that have passed by."""

  squares: float = 0.0
  peak: float = 0.0

  def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the blocks unchanged."""
    for block in blocks:
      self.squares += float(np.sum(np.square(block, dtype=np.float64)))
      self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
      yield block


def choose_subtype(
  target: Path,
  source: files.Reader,
  subtype: str | None,
  *,
  dither: bool = False,
) -> str:
  """Returns the sample format to write; refuses what cannot be written.

  Args:
    target: the file to write; its suffix names the format.
    source: the recording it is made of.
    subtype: the format asked for; None: the source's, or the nearest linear one
      that the target has, or else the target's usual one.
    dither: the samples are to be dithered, which is for linear integer formats.
  """
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


def write_by_way_of_scratch(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str,
  dtype: str,
  squares: float | None = None,
  dither: bool = False,
) -> None:
  """Writes a recording, as `write` does, whose level is known at its end.

  Args:
    target: where it goes.
    blocks: `[time, channels]`.
    source: the recording it is made of.
    subtype: sample format of the target.
    dtype: sample format of the scratch file.
    squares: sum of squares to bring the samples to; None leaves the level.
    dither: see `write`.
  """
  meter, gain = LevelMeter(), 1.0
  with files.scratch_file(
    target, source.sample_rate, source.channels, dtype=dtype
  ) as scratch:
    for block in meter.watch(blocks):
      scratch.write(block)
    if squares is not None:
      if meter.squares == 0.0:
        raise UserError(
          f"{source.path}: nothing is left of it; is it long enough?"
        )
      gain = float(np.sqrt(squares / meter.squares))
    blocks = scratch.read_blocks()
    write(
      target,
      blocks,
      source,
      subtype=subtype,
      peak=meter.peak,
      gain=gain,
      dither=dither,
    )


def write(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str,
  peak: float,
  gain: float = 1.0,
  dither: bool = False,
) -> float:
  """Writes a recording; lowers it where an integer format would clip.

  Args:
    target: where it goes.
    blocks: `[time, channels]`.
    source: the recording it is made of, of the same rate, channels and length;
      the result gets its tags.
    subtype: sample format of the target.
    peak: the blocks' largest magnitude, before the gain.
    gain: factor for the level.
    dither: adds triangular noise within ±1 code to all samples, also to those
      that have not changed: noise that comes and goes is heard.

  Returns:
    The gain that was applied, below `gain` after a warning.
  """
  if subtype not in ("FLOAT", "DOUBLE") and gain * peak > 1.0:
    logger.warning(
      "%s is %.1f dB quieter than the input, so that it does not clip; "
      "--subtype=FLOAT keeps the level",
      target,
      20.0 * np.log10(gain * peak),
    )
    gain = 1.0 / peak
  files.write_blocks(
    target,
    (gain * block for block in blocks),
    source.sample_rate,
    source.channels,
    subtype=subtype,
    frames=source.frames,
    dither=dither,
    source=source,
  )
  return gain
