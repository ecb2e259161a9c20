"""Restores one recording with a trained network.

The file streams through in blocks, so its length does not matter: resample to
the model's rate, group the channels as the model takes them, apply the network
with cross-faded chunks, and back. The result has the rate, length, channels
and RMS level of the source. A model knows only its own band: with a 16 kHz
model nothing above 8 kHz comes back.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import ml_collections
import numpy as np

from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks
from distortion_removal.inference import network, output
from distortion_removal.training import weights


def restore_file(
  source: Path,
  target: Path,
  workdir: Path,
  *,
  subtype: str | None = None,
  dither: bool = False,
) -> None:
  """Takes the distortion out of one audio file with a trained network.

  Args:
    source: a recording of any format, rate, length and channel count.
    target: where the result goes; its suffix names the format. It is written
      next to that place and renamed, so that it is either whole or not there.
    workdir: folder of the trained run, or a model file.
    subtype: sample format of the result, such as "PCM_24" or "FLOAT"; the
      source's own, where the target's format has it.
    dither: dithers an integer format, see `output.write`.
  """
  config = weights.load_config(workdir)
  subtype = output.choose_subtype(
    target, files.info(source), subtype, dither=dither
  )
  function = network.load_network(workdir, config)
  before = output.LevelMeter()
  # The whole file is read once before any work: for its level, and so that a
  # damaged one is refused at once.
  with files.open_reader(source) as reader:
    for _ in before.watch(reader.blocks()):
      pass
  if before.peak == 0.0:
    raise UserError(f"{source}: only silence; there is nothing to restore")
  gain = input_gain(config, before.peak, source)
  with files.open_reader(source) as reader:
    blocks = (gain * block for block in reader.blocks())
    blocks = output.show_progress(blocks, reader.frames)
    restored = _restored(blocks, function, config, reader)
    output.write_by_way_of_scratch(
      target,
      _cut_or_fill(restored, reader.frames, reader.channels),
      reader,
      subtype=subtype,
      dtype="float32",
      squares=before.squares,
      dither=dither,
    )


def input_gain(
  config: ml_collections.ConfigDict, peak: float, source: Path
) -> np.float32:
  """Returns the gain to the level that a run's network expects.

  A network that normalises its input takes any level. Another has only seen
  the task's own, where the peak of the degraded audio is known for a task that
  fixes the clean peak.

  Args:
    config: the trained run's configuration.
    peak: the recording's, above 0.
    source: the recording, for warnings.
  """
  task = tasks.from_config(config.data)
  if config.model.fields.get("normalize", False) or task.clean_peak is None:
    return np.float32(1.0)
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


def _restored(
  blocks: Iterable[np.ndarray],
  function: chunks.Function,
  config: ml_collections.ConfigDict,
  source: files.Reader,
) -> Iterator[np.ndarray]:
  """Streams `[time, channels]` of the source through the network, and back.

  The result is as long as the input to within the resampler's rounding.
  """
  rate = config.data.sample_rate
  grouped = (
    group_channels(block, config.data.channels)
    for block in resample_blocks(blocks, source.sample_rate, rate)
  )
  chunking = network.chunking(config)
  outputs = chunks.apply_to_stream(function, grouped, **chunking)
  joined = (ungroup_channels(block, source.channels) for block in outputs)
  return resample_blocks(joined, rate, source.sample_rate)


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


def _cut_or_fill(
  blocks: Iterable[np.ndarray], frames: int, channels: int
) -> Iterator[np.ndarray]:
  """Cuts a stream to `frames`, or fills it up with silence."""
  for block in blocks:
    yield block[:frames]
    frames -= min(frames, len(block))
  if frames:
    yield np.zeros((frames, channels), np.float32)
