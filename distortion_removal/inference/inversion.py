"""Restores one recording by undoing its effect: `--method=inversion`.

The file streams through the exact inverse of the effect that `blind` finds.
Where none of the kind is certain, the result is the source.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from distortion_removal.audio import files, resampling
from distortion_removal.audio.chunks import cut_or_fill, of_length
from distortion_removal.common.log import logger
from distortion_removal.effects import invertible
from distortion_removal.effects.invertible import FAMILY, Parameters
from distortion_removal.inference import output
from distortion_removal.inference.blind import (
  ANY,
  Choice,
  Found,
  describe,
  find,
)
from distortion_removal.inference.finish import (
  AS_IT_IS,
  Finish,
  beside_source,
)
from distortion_removal.inference.levels import measure
from distortion_removal.inference.output import Outcome

_BLOCK = 1 << 16  # samples that the inverse is compiled for
_invert = jax.jit(invertible.invert, static_argnums=0)


def undo(
  found: Sequence[Found | None], blocks: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
  """Yields a recording's blocks `[time, channels]` without the effect.

  Args:
    found: for each channel the effect, or None: it stays.
    blocks: the recording from where the effect began.
  """
  groups = {
    name: [k for k, one in enumerate(found) if one and one.effect == name]
    for name in {one.effect for one in found if one}
  }
  parameters, states = {}, {}
  for name, channels in groups.items():
    each = [found[k].parameters for k in channels]
    parameters[name] = Parameters(*map(np.array, zip(*each, strict=True)))
    states[name] = np.zeros(len(channels))
  with jax.enable_x64(True):
    for block in of_length(blocks, _BLOCK):
      padded = np.pad(block, ((0, _BLOCK - len(block)), (0, 0)))
      for name, channels in groups.items():
        clean, states[name] = _invert(
          FAMILY[name], padded[:, channels], parameters[name], states[name]
        )
        block[:, channels] = np.asarray(clean)[: len(block)]
      yield block


def invert_file(
  source: Path,
  target: Path,
  choice: Choice = ANY,
  *,
  found: Sequence[Found | None] = (),
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> Outcome:
  """Undoes the effect of one audio file; rate, channels and format stay.

  Args:
    source: the recording.
    target: where it goes, as in `restore_file`; as is `subtype`.
    choice: the effect, see `Choice.takes`.
    found: what `find` has found; else it is looked for.
    subtype: sample format of the target.
    dither: dithers an integer format, see `output.write`.
    finish: what of the restoration is taken.

  Returns:
    What was done, and the effect of each channel. Where none is certain, the
    result is the source, to the sample if its format can be.
  """
  info = files.info(source)
  form = {"dither": dither, "finish": finish}
  form["subtype"] = output.choose_subtype(target, info, subtype, **form)
  found = found or find(source, choice)
  line = describe(found, choice)
  effects = {"effects": [one.as_json() if one else None for one in found]}
  found = choice.chosen(found)
  if not any(found):
    peak = measure(source).peak
    line += f": {output.copy(info, target, peak, **form)}"
    return Outcome(line, effects)
  logger.info("%s: %s", source, line)
  rate = next(one.sample_rate for one in found if one)
  with files.open_reader(source) as reader:
    blocks = reader.blocks(dtype="float64")
    blocks = output.show_progress(blocks, reader.frames)
    blocks = resampling.resample_blocks(blocks, info.sample_rate, rate)
    blocks = undo(found, blocks)
    blocks = resampling.resample_blocks(blocks, rate, info.sample_rate)
    if rate != info.sample_rate:
      blocks = cut_or_fill(blocks, reader.frames, reader.channels)
      # Channels that stay were resampled as well.
      stays = [one is None for one in found]
      pairs = beside_source(blocks, source)
      blocks = (np.where(stays, old, new) for old, new in pairs)
    overflow = output.write_by_way_of_scratch(
      target, blocks, reader, dtype="float64", **form
    )
  return Outcome("; ".join(filter(None, (line, overflow))), effects)
