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
  """Levels of each channel of the blocks that have passed by, in float64."""

  frames: int = 0
  low: np.ndarray | None = None  # least and largest samples, [channels]
  high: np.ndarray | None = None
  # Sums are of what lies above the first sample: a DC that is large against the
  # music costs them no digits, and a constant channel has exact zeros.
  first: np.ndarray | None = None
  sum: np.ndarray | float = 0.0
  squares: np.ndarray | float = 0.0

  def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the blocks `[time, channels]` unchanged."""
    for block in blocks:
      if len(block):
        self._add(block)
      yield block

  def _add(self, block: np.ndarray) -> None:
    if self.first is None:
      self.first = self.low = self.high = block[0].astype(np.float64)
    self.low = np.minimum(self.low, block.min(axis=0))
    self.high = np.maximum(self.high, block.max(axis=0))
    above = block - self.first
    self.frames += len(block)
    self.sum = self.sum + above.sum(axis=0)
    self.squares = self.squares + np.square(above).sum(axis=0)

  @property
  def dc(self) -> np.ndarray:
    """Each channel's mean."""
    return self.first + self.sum / self.frames

  @property
  def energy(self) -> np.ndarray:
    """Each channel's sum of squares, without its DC."""
    return np.maximum(self.squares - self.sum**2 / self.frames, 0.0)

  @property
  def is_constant(self) -> np.ndarray:
    """Tells which channels are silent, or a DC alone."""
    return self.low == self.high

  @property
  def peak(self) -> float:
    """The largest magnitude."""
    return float(max(-self.low.min(), self.high.max(), 0.0))

  @property
  def ac_peak(self) -> float:
    """The largest magnitude without the DC."""
    return float(max((self.dc - self.low).max(), (self.high - self.dc).max()))


def measure(source: Path) -> LevelMeter:
  """Reads a whole recording for its levels; a damaged one is refused."""
  meter = LevelMeter()
  with files.open_reader(source) as reader:
    for _ in meter.watch(reader.blocks(dtype="float64")):
      pass
  return meter


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
) -> str:
  """Writes a recording as it is, to the sample if the format can have it.

  Args:
    source: the recording, as `files.info` has it.
    target: where it goes.
    peak: its largest magnitude.
    subtype: sample format of the target.
    dither: see `write`; samples that need no rounding are not dithered.

  Returns:
    What could not stay, as the end of a sentence; "" where all did.
  """
  bits = [files.linear_bits(format_) for format_ in (source.subtype, subtype)]
  # Samples that are codes of the format already need no rounding.
  is_exact = None not in bits and bits[0] <= bits[1] and peak <= 1.0
  with files.open_reader(source.path) as reader:
    gain = write(
      target,
      reader.blocks(dtype="float64"),
      source,
      subtype=subtype,
      peak=peak,
      dither=dither and not is_exact,
    )
  changes = ""
  if gain < 1.0:
    changes += f" but {-20 * np.log10(gain):.1f} dB quieter"
  is_encoded = not subtype.startswith(("PCM_", "FLOAT", "DOUBLE"))
  if is_encoded or subtype != source.subtype:
    changes += f", as {subtype}"
  return changes


def write_by_way_of_scratch(
  target: Path,
  blocks: Iterable[np.ndarray],
  source: files.Reader,
  *,
  subtype: str,
  dtype: str,
  energy: float | None = None,
  offset: np.ndarray | float = 0.0,
  dither: bool = False,
) -> None:
  """Writes a recording, as `write` does, whose level is known at its end.

  Args:
    target: where it goes.
    blocks: `[time, channels]`.
    source: the recording it is made of.
    subtype: sample format of the target.
    dtype: sample format of the scratch file.
    energy: sum of squares, without DC, to bring all channels together to; None
      leaves the level.
    offset: see `write`.
    dither: see `write`.
  """
  meter, gain = LevelMeter(), 1.0
  with files.scratch_file(
    target, source.sample_rate, source.channels, dtype=dtype
  ) as scratch:
    for block in meter.watch(blocks):
      scratch.write(block)
    if energy is not None:
      restored = float(meter.energy.sum())
      if restored == 0.0:
        raise UserError(
          f"{source.path}: nothing is left of it; is it long enough?"
        )
      gain = float(np.sqrt(energy / restored))
    write(
      target,
      scratch.read_blocks(),
      source,
      subtype=subtype,
      peak=meter.peak,
      gain=gain,
      offset=offset,
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
  offset: np.ndarray | float = 0.0,
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
    offset: what each channel gets on top, after the gain.
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
    (gain * block + offset for block in blocks),
    source.sample_rate,
    source.channels,
    subtype=subtype,
    frames=source.frames,
    dither=dither,
    source=source,
  )
  return gain


def cut_or_fill(
  blocks: Iterable[np.ndarray], frames: int, channels: int
) -> Iterator[np.ndarray]:
  """Cuts a stream to `frames`, or fills it up with silence."""
  for block in blocks:
    yield block[:frames]
    frames -= min(frames, len(block))
  if frames:
    yield np.zeros((frames, channels), np.float32)
