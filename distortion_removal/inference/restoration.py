"""Restores one recording with a trained network.

The file streams through in blocks, so its length does not matter: resample to
the model's rate, group the channels as the model takes them, apply the network
with cross-faded chunks, and back. A model knows only its own band: above 8 kHz,
with a 16 kHz model, what the source has is kept, see `full_band`, unless the
model's band is asked for.

The result has the rate, length and channels of the source, and the RMS level of
all its channels together; their balance is the network's. A DC offset is a
fault of the recording, which neither the network nor the level match sees: each
channel's mean is left out. A channel that is constant, silent or not, carries
nothing to restore: it stays as it is, and the others come out as without it.
Networks that are told where a recording is clipped have rules of their own, see
`consistent`.
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import ml_collections
import numpy as np

from distortion_removal import models
from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks
from distortion_removal.inference import (
  blind,
  consistent,
  full_band,
  network,
  output,
)
from distortion_removal.inference.clipping import Survey
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.levels import LevelMeter, measure
from distortion_removal.inference.output import Completion, Outcome
from distortion_removal.training import weights

_NOTABLE_DC = 1e-3  # relative to the recording's peak without it: −60 dB


def restore_file(
  source: Path,
  target: Path,
  workdir: Path,
  *,
  band: str = full_band.FULL,
  clipping: Survey | None = None,
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> Outcome:
  """Takes the distortion out of one audio file with a trained network.

  Args:
    source: a recording of any format, rate, length and channel count.
    target: where the result goes; its suffix names the format. It is written
      next to that place and renamed, so that it is either whole or not there.
    workdir: folder of the trained run, or a model file.
    band: "full" keeps what the source has above the network's band, "model"
      does not.
    clipping: what `survey` has found, for a network that asks for that; None:
      the recording is surveyed then.
    subtype: sample format of the result, such as "PCM_24" or "FLOAT"; the
      source's own, where the target's format has it.
    dither: dithers an integer format, see `output.write`.
    finish: what of the restoration is taken.

  Returns:
    What there is to say, and where it is clipped if the network asks for that.
  """
  config = weights.load_config(workdir)
  form = {"dither": dither, "finish": finish}
  if models.takes_rails(config):
    form |= {"band": band, "clipping": clipping, "subtype": subtype}
    return consistent.restore_file(source, target, workdir, config, **form)
  subtype = output.choose_subtype(target, files.info(source), subtype, **form)
  function = network.load_network(workdir, config)
  # The whole file is read once before any work: for its levels, and so that a
  # damaged one is refused at once.
  before = measure(source)
  idle = before.is_constant
  if idle.all():
    raise UserError(f"{source}: only silence; there is nothing to restore")
  _log_dc(before, source)
  gain = input_gain(config, before.ac_peak, source)
  rate = config.data.sample_rate
  is_wider = files.info(source).sample_rate > rate
  keeping = nullcontext()
  if is_wider and band == full_band.FULL:
    keeping = full_band.keep(source, target, rate, before.dc)
  with files.open_reader(source) as reader, keeping as kept:
    blocks = (
      np.float32(gain * (block - before.dc))
      for block in reader.blocks(dtype="float64")
    )
    blocks = output.show_progress(blocks, reader.frames)
    restored = _restored(blocks, function, config, reader, idle)
    line = output.write_by_way_of_scratch(
      target,
      chunks.cut_or_fill(restored, reader.frames, reader.channels),
      reader,
      subtype=subtype,
      dtype="float32",
      completed=_completion(source, before, kept),
      **form,
    )
  if not is_wider:
    return Outcome(line, {})
  above = kept.name if kept else full_band.NOTHING
  note, found = full_band.describe(rate, above)
  return Outcome("; ".join(filter(None, (note, line))), found)


def _completion(
  source: Path, before: LevelMeter, kept: full_band.Kept | None
) -> Completion:
  """Returns a function that gives a network's output the source's level.

  Args:
    source: the recording, for an error.
    before: its levels.
    kept: what goes on top, if anything does.
  """
  offset = np.where(before.is_constant, before.dc, 0.0)
  level = float(before.energy.sum())

  def completed(
    blocks: Iterable[np.ndarray], meter: LevelMeter
  ) -> Iterator[np.ndarray]:
    energy = float(meter.energy.sum())
    if energy == 0.0:
      raise UserError(f"{source}: nothing is left of it; is it long enough?")
    if kept is None:
      gain = np.sqrt(level / energy)
      yield from (gain * block + offset for block in blocks)
      return
    gain, total = np.sqrt(kept.inner / energy), np.sqrt(level / kept.whole)
    restored = chunks.of_length(blocks, files.BLOCK_FRAMES)
    for block, upper in zip(restored, kept.upper(), strict=True):
      yield total * (gain * block + upper) + offset

  return completed


def _log_dc(levels: LevelMeter, source: Path) -> None:
  """Logs the DC offsets that are left out, unless they are negligible."""
  is_notable = np.abs(levels.dc) > _NOTABLE_DC * levels.ac_peak
  found = np.flatnonzero(is_notable & ~levels.is_constant)
  if len(found):
    text = ", ".join(f"{levels.dc[k]:.3g} (channel {k + 1})" for k in found)
    logger.info("%s: its DC offset is left out: %s", source, text)


def input_gain(
  config: ml_collections.ConfigDict, peak: float, source: Path
) -> np.float32:
  """Returns the gain to the level that a run's network expects.

  A network that normalises its input takes any level. Another has only seen
  the task's own. An overdrive leaves its scale in the recording, where
  `inversion` finds it to one part in thousands; for other tasks that fix the
  clean peak, that of the degraded audio is known, to a decibel or so.

  Args:
    config: the trained run's configuration.
    peak: the recording's, without its DC, above 0.
    source: the recording, for warnings.
  """
  task = tasks.from_config(config.data)
  if config.model.fields.get("normalize", False) or task.clean_peak is None:
    return np.float32(1.0)
  scale = overdrive_scale(source) if task.effect == "overdrive" else None
  if scale:
    return np.float32(1.0 / scale)
  if task.degraded_peak is None:
    logger.warning(
      "the network does not normalise its input, and what level it expects is "
      "not known: %s is taken as it is, which may cost quality",
      source,
    )
    return np.float32(1.0)
  gain = np.float32(task.degraded_peak / peak)
  if gain != 1.0:
    logger.warning(
      "the network does not normalise its input: the level it expects is "
      "guessed from the peak of %s, which may cost quality",
      source,
    )
  return gain


def overdrive_scale(source: Path) -> float | None:
  """Finds the factor that a recording was multiplied by after an overdrive.

  Returns:
    The median of the channels in which an overdrive is certain, or, if there
    are none, likelier than none; None: there is no such channel either.
  """
  found = [one for one in blind.find(source, blind.OVERDRIVE) if one]
  certain = [one for one in found if one.estimate.is_certain]
  likely = [one for one in found if one.estimate.is_likelier]
  scales = [one.parameters.scale for one in certain or likely]
  return float(np.median(scales)) if scales else None


def _restored(
  blocks: Iterable[np.ndarray],
  function: chunks.Function,
  config: ml_collections.ConfigDict,
  source: files.Reader,
  idle: np.ndarray,
) -> Iterator[np.ndarray]:
  """Streams `[time, channels]` of the source through the network, and back.

  The result is as long as the input to within the resampler's rounding, and
  silent in the channels that are `idle`.
  """
  rate = config.data.sample_rate
  chosen = stand_ins(idle, config.data.channels)
  grouped = (
    group_channels(block[:, chosen], config.data.channels)
    for block in resample_blocks(blocks, source.sample_rate, rate)
  )
  groups = -(-source.channels // config.data.channels)
  outputs = chunks.apply_to_stream(
    function,
    grouped,
    together=network.chunks_together(config, groups),
    **network.chunking(config),
  )
  joined = (
    np.where(idle, np.float32(0.0), ungroup_channels(block, source.channels))
    for block in outputs
  )
  return resample_blocks(joined, rate, source.sample_rate)


def stand_ins(idle: np.ndarray, size: int) -> np.ndarray:
  """Returns the channel that the network gets in place of each.

  That is the first of its group of `size` with music where it has none itself:
  a network of stereo sees one channel twice, rather than music on one side.
  """
  index = np.arange(len(idle))
  for start in range(0, len(idle), size):
    group = index[start : start + size]
    active = group[~idle[group]]
    if len(active):
      group[idle[group]] = active[0]
  return index


def group_channels(block: np.ndarray, size: int) -> np.ndarray:
  """Turns `[time, channels]` into `[groups, time, size]`.

  The last channel is repeated to fill up its group.
  """
  count = block.shape[1]
  groups = -(-count // size)
  index = np.minimum(np.arange(groups * size), count - 1)
  return block[:, index].reshape(len(block), groups, size).swapaxes(0, 1)


def ungroup_channels(block: np.ndarray, channels: int) -> np.ndarray:
  """Undoes `group_channels`."""
  groups, time, size = block.shape
  return block.swapaxes(0, 1).reshape(time, groups * size)[:, :channels]
