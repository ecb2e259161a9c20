"""Keeps what a recording has above a network's band.

A network of 16 kHz knows nothing above 8 kHz. With x the recording, or what a
quick declipper makes of a clipped one, D the way to the network's rate, U the
way back and f the network, the result is

    y = g U f(D x) + (x - U D x)

so that the crossover is the resampler's own transition just below the band's
end, without delay or phase, and a network that changes nothing changes nothing.
The gain g gives the network's part the level that U D x has.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.inference import declip
from distortion_removal.inference.clipping import survey
from distortion_removal.inference.levels import LevelMeter

FULL, MODEL = BANDS = ("full", "model")
NOTHING = "nothing"
# Clipping is heard above the band, too; this one takes less time than networks.
DECLIPPER = "fast"


class Kept(NamedTuple):
  """What a recording has above a network's band.

  Attributes:
    name: the recording that it is taken from, for people.
    whole: energy of that recording, without its DC.
    inner: energy of what it has within the band.
    upper: starts to read the rest: blocks `[time, channels]`, all but the last
      of `files.BLOCK_FRAMES`.
  """

  name: str
  whole: float
  inner: float
  upper: Callable[[], Iterator[np.ndarray]]


@contextlib.contextmanager
def keep(
  source: Path, target: Path, rate: int, dc: np.ndarray
) -> Iterator[Kept]:
  """Yields what a recording has above half a rate.

  Args:
    source: the recording.
    target: the result, beside which there is a scratch file meanwhile.
    rate: the network's sample rate in Hz.
    dc: each channel's, which is left out.
  """
  with contextlib.ExitStack() as stack:
    reader = stack.enter_context(files.open_reader(source))
    clipping, name = survey(source), "the input"
    if clipping.count:
      name += f", declipped by {DECLIPPER}"
      layout = reader.sample_rate, reader.channels
      scratch = stack.enter_context(
        files.scratch_file(target, *layout, dtype="float64")
      )
      for block in declip.declipped_blocks(reader, DECLIPPER, clipping):
        scratch.write(block)

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
      blocks = scratch.read_blocks() if clipping.count else _read(source)
      return split((block - dc for block in blocks), reader, rate)

    whole, inner = LevelMeter(), LevelMeter()
    for low, high in parts():
      whole.add(low + high)
      inner.add(low)
    energies = (float(meter.energy.sum()) for meter in (whole, inner))
    yield Kept(name, *energies, lambda: (high for _, high in parts()))


def _read(source: Path) -> Iterator[np.ndarray]:
  with files.open_reader(source) as reader:
    yield from reader.blocks(dtype="float64")


def split(
  blocks: Iterable[np.ndarray], source: files.Reader, rate: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields what a recording has in a network's band, and the rest.

  Args:
    blocks: the recording, `[time, channels]`.
    source: of its length, channels and sample rate.
    rate: the network's sample rate in Hz.
  """
  whole, inner = itertools.tee(blocks)
  inner = resample_blocks(inner, source.sample_rate, rate)
  inner = resample_blocks(inner, rate, source.sample_rate)
  inner = chunks.cut_or_fill(inner, source.frames, source.channels)
  sides = (chunks.of_length(x, files.BLOCK_FRAMES) for x in (whole, inner))
  for both, low in zip(*sides, strict=True):
    yield low, both - low


def describe(rate: int, above: str) -> tuple[str, dict[str, Any]]:
  """Describes a result of a network of a lower sample rate.

  Args:
    rate: the network's sample rate in Hz.
    above: what the result has above the network's band, for people.

  Returns:
    A line for people, and what is for a receipt.
  """
  line = f"above the network's band, from {rate / 2000:g} kHz on: {above}"
  return line, {"band_hz": rate / 2, "above_band": above}
