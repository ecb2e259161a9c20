"""What is heard and seen of a recording: before, after, and the difference.

Sounds are 16-bit WAV files, in which a browser can seek anywhere while they
stream. They are as loud as each other, and no louder than the recording; a
louder difference would clip, so that its peak may keep it quieter.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distortion_removal.audio import files
from distortion_removal.audio.loudness import loudness_of_blocks
from distortion_removal.inference.finish import Finish
from distortion_removal.report.spectrogram import RANGE_DB, frame_samples

BEFORE, AFTER, DIFFERENCE = "before", "after", "difference"
PARTS = 1200  # of the time in which a waveform is drawn
_ROWS = 256  # of a spectrogram
_PEAK = 0.99
_DIGITS = 4  # of samples that are drawn
_MOST_CHANNELS = 8  # that are drawn

Blocks = Iterable[np.ndarray]


class Sketch(NamedTuple):
  """What is drawn of a sound.

  Attributes:
    low: least sample in each of equal parts of the time, `[channels, parts]`.
    high: largest one.
    power: mean of the channels, `[bands, columns]`; the first is the highest.
    loudness_lufs: −inf for silence.
    peak: of what is heard.
  """

  low: np.ndarray
  high: np.ndarray
  power: np.ndarray
  loudness_lufs: float
  peak: float


def versions(
  source: Path, restored: Path | None, strength: float
) -> dict[str, Callable[[], Iterator[np.ndarray]]]:
  """Returns functions that read the versions in blocks `[time, channels]`.

  Args:
    source: the recording.
    restored: the restored one; None: there is none yet.
    strength: how much of the restoration is taken, see `Finish`.
  """

  def read(path: Path) -> Iterator[np.ndarray]:
    with files.open_reader(path) as reader:
      yield from reader.blocks(dtype="float64")

  def finished(finish: Finish) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: finish.apply(read(restored), source)

  found = {BEFORE: lambda: read(source)}
  if restored:
    found[AFTER] = finished(Finish(strength))
    found[DIFFERENCE] = finished(Finish(strength, is_delta=True))
  return found


def sketch(blocks: Blocks, info: files.Reader) -> Sketch:
  """Reads a version once for all but its sound, in constant memory.

  Args:
    blocks: `[time, channels]`.
    info: the recording whose length, rate and channels they have.
  """
  outline, spectrum = _Outline(info), _Spectrum(info)
  peak = 0.0

  def watched() -> Iterator[np.ndarray]:
    nonlocal peak
    for block in blocks:
      outline.add(block)
      spectrum.add(block)
      heard = audible(block)
      peak = max(peak, float(np.abs(heard).max(initial=0.0)))
      yield heard

  loudness = loudness_of_blocks(watched(), sample_rate=info.sample_rate)
  return Sketch(outline.low, outline.high, spectrum.power(), loudness, peak)


def audible(block: np.ndarray) -> np.ndarray:
  """Returns `[time, channels]` as mono or stereo, which any browser plays."""
  return block if block.shape[1] <= 2 else block.mean(axis=1, keepdims=True)


class _Outline:
  """Finds the least and the largest sample in each part of a stream."""

  def __init__(self, info: files.Reader):
    self._frames, self._start = info.frames, 0
    self._parts = min(PARTS, info.frames)
    self.low = np.full((info.channels, self._parts), np.inf)
    self.high = -self.low

  def add(self, block: np.ndarray) -> None:
    time = self._start + np.arange(len(block))
    part = time * self._parts // self._frames
    first = np.flatnonzero(np.diff(part, prepend=-1))
    here = part[first]
    low = np.minimum.reduceat(block, first).T
    high = np.maximum.reduceat(block, first).T
    self.low[:, here] = np.minimum(self.low[:, here], low)
    self.high[:, here] = np.maximum(self.high[:, here], high)
    self._start += len(block)


class _Spectrum:
  """Takes two frames for each column of a spectrogram from a stream.

  Of a sound that is longer than all frames, a fair sample is seen.
  """

  def __init__(self, info: files.Reader):
    self._length = frame_samples(info.sample_rate)
    room = max(0, info.frames - self._length)
    columns = min(PARTS, 1 + 4 * room // self._length)
    self._starts = np.linspace(0, room, 2 * columns).astype(int)
    self._window = np.hanning(self._length)[:, None] * 2.0 / self._length
    self._held, self._start = np.zeros((0, info.channels)), 0
    self._powers: list[np.ndarray] = []

  def add(self, block: np.ndarray) -> None:
    held = np.concatenate([self._held, block])
    while len(self._powers) < len(self._starts):
      first = self._starts[len(self._powers)] - self._start
      if first + self._length > len(held):
        break
      self._take(held[first : first + self._length])
    next_start = self._starts[min(len(self._powers), len(self._starts) - 1)]
    dropped = min(max(0, next_start - self._start), len(held))
    self._held, self._start = held[dropped:], self._start + dropped

  def _take(self, frame: np.ndarray) -> None:
    spectrum = np.fft.rfft(frame * self._window, axis=0)
    power = np.square(np.abs(spectrum)).mean(axis=1)
    edges = np.linspace(0, len(power), _ROWS, endpoint=False).astype(int)
    self._powers.append(np.maximum.reduceat(power, edges)[::-1])

  def power(self) -> np.ndarray:
    if not self._powers:  # shorter than a frame
      missing = self._length - len(self._held)
      self._take(np.pad(self._held, ((0, missing), (0, 0))))
      self._powers *= 2
    pairs = np.reshape(self._powers, (-1, 2, _ROWS))
    return pairs.mean(axis=1).T


def gains(sketches: Mapping[str, Sketch]) -> dict[str, float]:
  """Returns what each version is scaled by to be as loud as the others.

  The loudness is the recording's, or less where a peak would clip; the
  difference, whose peaks are high, does not count for that.
  """
  levels = {
    name: one.loudness_lufs
    for name, one in sketches.items()
    if np.isfinite(one.loudness_lufs)
  }
  room = {
    name: level + 20.0 * np.log10(_PEAK / sketches[name].peak)
    for name, level in levels.items()
    if name != DIFFERENCE
  }
  common = min([*room.values(), levels.get(BEFORE, np.inf)])
  found = {}
  for name, one in sketches.items():
    # Without a loudness there is nothing to match.
    louder_db = common - levels.get(name, common) if common < np.inf else 0.0
    limit = _PEAK / max(one.peak, 1e-9)
    found[name] = float(min(10.0 ** (louder_db / 20.0), limit))
  return found


def write_sound(
  path: Path, blocks: Blocks, info: files.Reader, gain: float
) -> None:
  """Writes what a browser plays of a version."""
  files.write_blocks(
    path,
    (gain * audible(block) for block in blocks),
    info.sample_rate,
    info.channels if info.channels <= 2 else 1,
    subtype="PCM_16",
    frames=info.frames,
  )


def write_spectrogram(path: Path, power: np.ndarray, top_db: float) -> None:
  """Writes a PNG picture of the range below `top_db`."""
  from matplotlib.image import imsave

  level_db = 10.0 * np.log10(power + 1e-18) - top_db
  imsave(path, level_db, cmap="magma", vmin=-RANGE_DB, vmax=0.0)


def top_db(power: np.ndarray) -> float:
  """Returns the highest level of a spectrogram; of silence, full scale."""
  return float(10.0 * np.log10(power.max())) if power.any() else 0.0


def drawn(samples: np.ndarray) -> list[Any]:
  """Returns samples of the first channels for JSON."""
  return np.round(samples[:_MOST_CHANNELS], _DIGITS).tolist()
