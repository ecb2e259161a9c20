"""What restoring a recording takes whatever the method: format, level, bar."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from distortion_removal.audio import files
from distortion_removal.audio.integrity import AudioFileError
from distortion_removal.common.log import Progress, logger


@dataclasses.dataclass
class Energy:
  """Sum of squares and peak of a stream that passes by."""

  squares: float = 0.0
  peak: float = 0.0

  def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The blocks, unchanged."""
    for block in blocks:
      self.squares += float(np.sum(np.square(block, dtype=np.float64)))
      self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
      yield block


def read_blocks(source: Path) -> Iterator[np.ndarray]:
  """A file's samples, `[time, channels]` float64: exact in any format.

  Raises:
    UserError: it cannot be read; see `audio_io`.
  """
  with files.open_reader(source) as reader:
    yield from reader.blocks(dtype="float64")


def output_subtype(
  target: Path, source: files.Reader, subtype: str | None
) -> str | None:
  """The sample format to write; what cannot be written is told before work.

  Args:
    target: the file to write; its suffix names the format.
    source: the file it is made of.
    subtype: the format asked for; None: see `like_source`.

  Raises:
    UserError: there is no such folder, or the format cannot hold the audio.
  """
  subtype = subtype or like_source(target, source)
  files.check_format(target, source.sample_rate, source.channels, subtype)
  if not target.parent.is_dir():
    raise AudioFileError(target, "the folder to write to does not exist")
  return subtype


def like_source(target: Path, source: files.Reader) -> str | None:
  """The source's sample format, or the nearest linear one the target has.

  Compressed formats are not carried over: an MP3's would fit into a WAV.
  """
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


def progress(blocks: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
  """Shows how much of a recording has passed by.

  Args:
    blocks: `[time, channels]`.
    frames: samples a channel that there will be.

  Yields:
    The blocks.
  """
  with Progress(
    frames, "restored %.0f %%", unit="frame", is_shown=True
  ) as shown:
    for block in blocks:
      yield block
      shown.advance(len(block))


def write(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str | None,
  peak: float,
  gain: float = 1.0,
) -> float:
  """Writes a recording; lowers it where an integer format would clip.

  Args:
    target: where it goes.
    blocks: `[time, channels]`.
    source: has its sample rate and channels.
    subtype: sample format of the target.
    peak: of the blocks, before the gain.
    gain: what the level asks for.

  Returns:
    The gain that was given, below `gain` after a warning.
  """
  gain = _limit_gain(gain, peak, target, subtype)
  files.write_blocks(
    target,
    (gain * block for block in blocks),
    source.sample_rate,
    source.channels,
    subtype=subtype,
  )
  return gain


def _limit_gain(
  gain: float, peak: float, target: Path, subtype: str | None
) -> float:
  if subtype in ("FLOAT", "DOUBLE") or gain * peak <= 1.0:
    return gain
  logger.warning(
    "%s is %.1f dB quieter than the input, so that it does not clip; "
    "--subtype=FLOAT keeps the level",
    target,
    20.0 * np.log10(gain * peak),
  )
  return 1.0 / peak
