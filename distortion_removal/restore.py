"""Restores one recording: `python -m distortion_removal.restore IN -o OUT`.

The file streams through in blocks, so its length does not matter: resample to
the model's rate, group the channels as the model takes them, apply the network
with cross-faded chunks, and back. What comes out has the rate, length,
channels and RMS level of what went in. A model knows only its own band: with a
16 kHz model nothing above 8 kHz comes back.

With `--method` in place of `--checkpoint`, a declipper does it, see `declip`.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import ml_collections
import numpy as np
import soundfile

from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample_blocks
from distortion_removal.common import log
from distortion_removal.common.errors import (
  OneLineParser,
  UserError,
  one_line_errors,
)
from distortion_removal.common.log import logger
from distortion_removal.effects import tasks
from distortion_removal.inference import declip, declip_options, network, output
from distortion_removal.inference.output import Energy


def restore(
  source: Path, target: Path, workdir: Path, *, subtype: str | None = None
) -> None:
  """Takes the distortion out of one audio file with a trained network.

  Args:
    source: any file libsndfile reads, of any rate, length and channel count.
    target: where the result goes; its suffix names the format. It is written
      beside and renamed, so that it is either whole or not there.
    workdir: of the trained run, or a model file.
    subtype: sample format of the result, such as "PCM_24" or "FLOAT"; the
      source's own, where the target's format has it.

  Raises:
    UserError: the source cannot be used, or there is no such run.
  """
  run = network.load_config(workdir)
  info = files.info(source)
  subtype = output.output_subtype(target, info, subtype)
  function = network.load_network(workdir, run)
  before, after = Energy(), Energy()
  # The whole file is read once before any work, so that a damaged one is told
  # at once, and its peak is known.
  with files.open_reader(source) as reader:
    for _ in before.watch(reader.blocks()):
      pass
  if before.peak == 0.0:
    raise UserError(f"{source}: only silence; there is nothing to restore")
  scale = input_scale(run, before.peak)
  task = tasks.from_config(run.data)
  is_told = run.model.fields.get("normalize", False) or task.clean_peak is None
  if not is_told and task.degraded_peak is None:
    logger.warning(
      "the network does not normalise its input, and what level it expects is "
      "not known: %s is taken as it is, which may cost quality",
      source,
    )
  if scale != 1.0:
    logger.warning(
      "the network does not normalise its input: the level it expects is "
      "guessed from the peak of %s, which may cost quality",
      source,
    )
  with (
    files.open_reader(source) as reader,
    files.scratch_file(target, reader.sample_rate, reader.channels) as scratch,
  ):
    blocks = (scale * block for block in reader.blocks())
    estimate = restored_blocks(
      output.progress(blocks, reader.frames),
      function,
      run,
      sample_rate=reader.sample_rate,
    )
    for block in after.watch(_fit(estimate, reader.frames, reader.channels)):
      scratch.write(block)
    if after.squares == 0.0:
      raise UserError(f"{source}: nothing is left of it; is it long enough?")
    level = float(np.sqrt(before.squares / after.squares))
    output.write(
      target,
      scratch.read_blocks(),
      reader,
      subtype=subtype,
      peak=after.peak,
      gain=level,
    )


def input_scale(run: ml_collections.ConfigDict, peak: float) -> np.float32:
  """What brings a recording to the level that a run's network expects.

  A network that normalises its input takes any level. Another has only seen
  the task's own, where the peak of the degraded audio is known for a task that
  fixes the clean peak.

  Args:
    run: configuration of the trained run.
    peak: of the recording, above 0.
  """
  expected = tasks.from_config(run.data).degraded_peak
  if run.model.fields.get("normalize", False) or expected is None:
    return np.float32(1.0)
  return np.float32(expected / peak)


def restored_blocks(
  blocks: Iterable[np.ndarray],
  function: chunks.Function,
  run: ml_collections.ConfigDict,
  *,
  sample_rate: int,
) -> Iterator[np.ndarray]:
  """Streams blocks `[time, channels]` through resampling and the network.

  Args:
    blocks: audio at `sample_rate`, `[time, channels]`.
    function: chunks `[batch, chunk, channels]` to the same shape.
    run: configuration of the trained run.
    sample_rate: of the blocks, Hz.

  Yields:
    `[time, channels]` at `sample_rate`, in total as long as the input to
    within the resampler's rounding.
  """
  model_rate, model_channels = run.data.sample_rate, run.data.channels
  channels = []  # of the file: known once the first block has come

  def grouped() -> Iterator[np.ndarray]:
    for block in resample_blocks(blocks, sample_rate, model_rate):
      channels[:] = [block.shape[1]]
      yield group_channels(block, model_channels)

  outputs = chunks.apply_to_stream(function, grouped(), **network.chunking(run))
  joined = (ungroup_channels(block, channels[0]) for block in outputs)
  return resample_blocks(joined, model_rate, sample_rate)


def group_channels(block: np.ndarray, size: int) -> np.ndarray:
  """`[time, channels]` to `[groups, time, size]`; the last channel repeats."""
  count = block.shape[1]
  groups = -(-count // size)
  index = np.minimum(np.arange(groups * size), count - 1)
  return block[:, index].reshape(len(block), groups, size).swapaxes(0, 1)


def ungroup_channels(block: np.ndarray, channels: int) -> np.ndarray:
  """The reverse of `group_channels`."""
  groups, time, size = block.shape
  return block.swapaxes(0, 1).reshape(time, groups * size)[:, :channels]


def _fit(
  blocks: Iterable[np.ndarray], frames: int, channels: int
) -> Iterator[np.ndarray]:
  """Cuts a stream to `frames`, or fills it up with silence."""
  for block in blocks:
    yield block[:frames]
    frames -= min(frames, len(block))
  if frames:
    yield np.zeros((frames, channels), np.float32)


def _parser() -> OneLineParser:
  parser = OneLineParser(
    prog="python -m distortion_removal.restore",
    description="Takes the distortion out of a recording.",
  )
  add = parser.add_argument
  add("input", type=Path, help="recording to restore")
  add("-o", "--output", type=Path, required=True, help="where it goes")
  add(
    "--checkpoint",
    type=Path,
    help="folder of a trained run, or a .safetensors model",
  )
  add(
    "--subtype",
    choices=sorted(soundfile.available_subtypes()),
    metavar="FORMAT",
    help="sample format of the result, such as PCM_24; default: the input's",
  )
  declip_options.add_arguments(parser)
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """The command line, see `--help`."""
  log.setup()
  with one_line_errors():
    options = vars(_parser().parse_args(argv))
    given = {k: value for k, value in options.items() if value is not None}
    source, target = given.pop("input"), given.pop("output")
    checkpoint, subtype = (
      given.pop("checkpoint", None),
      given.pop("subtype", None),
    )
    if (checkpoint is None) == ("method" not in given):
      raise UserError(
        "give either --checkpoint=RUN_OR_MODEL_FILE, to restore with a "
        "network, or --method=NAME, without one"
      )
    if checkpoint is None:
      print(declip.restore(source, target, subtype=subtype, **given))
    elif given:
      flag = declip_options.flag(next(iter(given)))
      raise UserError(f"{flag} is for --method; a network has no such option")
    else:
      restore(source, target, checkpoint, subtype=subtype)
    print(f"restored: {target}")


if __name__ == "__main__":
  main()
