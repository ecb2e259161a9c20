"""Restores clipped audio with a network that is told where it is clipped.

Declippers' estimates, for a network that corrects them, are computed on the
fly, as those of the training pairs were, a chunk at a time. Reliable samples
stay as they are, to the bit, and so do rate, level and a DC offset.

Resampling blurs what is clipped. So with a recording of another rate than the
network's, the estimates are computed at the recording's rate, and what goes
back to it is not the network's output, but only what it adds to their mean. The
band is that of the recording. For a network that is given no estimates, a quick
declipper's takes the place of that mean: nothing else would undo the clipping
above the network's band.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from distortion_removal import declipping
from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample
from distortion_removal.common import log
from distortion_removal.common.errors import UserError
from distortion_removal.declipping.clip_level import (
  Rails,
  clip_signs,
  farther_rails,
)
from distortion_removal.declipping.estimates import estimates
from distortion_removal.inference import declip, full_band, network, output
from distortion_removal.inference.clipping import Survey, survey
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.output import Outcome

# Resampled marks, from 0 to 1, above which a sample counts as clipped.
_CLIPPED = 0.5
# Between the network's rate and a recording's: with it, the declippers' frames
# shrink to nothing, or grow until a second takes an hour.
_MOST_TIMES = 16


def load(
  source: Path,
  config: ml_collections.ConfigDict,
  batch: int | None = None,
  sample_rate: int | None = None,
) -> declip.Restorer:
  """Loads a trained network.

  Args:
    source: folder of a trained run, or a model file.
    config: its configuration.
    batch: see `network.load_network`.
    sample_rate: rate of the audio in Hz; None: the network's.
  """
  own_rate = config.data.sample_rate
  return functools.partial(
    restore,
    function=network.load_network(source, config, batch),
    declippers=config.model.get("declippers", {}),
    rates=(sample_rate or own_rate, own_rate),
  )


def restore(
  audio: np.ndarray,
  rails: Rails,
  *,
  function: chunks.Function,
  declippers: Mapping[str, Mapping[str, Any]],
  rates: tuple[int, int] = (1, 1),
) -> np.ndarray:
  """Restores clipped samples; the others stay as they are.

  Args:
    audio: `[batch, time, channels]`; channels are restored one by one.
    rails: where it is clipped.
    function: network of one channel, see `models.consistency`.
    declippers: options of those whose estimates it is given, by name.
    rates: sample rates of the audio and of the network.
  """
  signs = clip_signs(audio, rails)
  if not signs.any():
    return audio
  unit = farther_rails(rails)
  scaled = _one_by_one(np.float32(audio / unit[:, None]))
  marks = None if rails.marks is None else _one_by_one(rails.marks)
  low, high = (np.reshape(rail / unit, (-1, 1)) for rail in rails[:2])
  scaled_rails = Rails(low, high, marks)
  octaves = math.log2(rates[0] / rates[1])
  found = estimates(scaled, scaled_rails, declippers, octaves=octaves)
  inputs = np.concatenate([scaled, _one_by_one(signs), *found], axis=-1)
  inputs = np.float32(inputs)
  if octaves == 0.0:
    restored = function(inputs)
  else:
    start = found if len(found) else _quick(scaled, scaled_rails, rates[0])
    restored = _add(function, inputs, np.float32(np.mean(start, axis=0)), rates)
  restored = restored.reshape(len(audio), -1, audio.shape[1]).swapaxes(1, 2)
  restored = (restored * unit[:, None]).astype(audio.dtype)
  return np.select(
    [signs > 0, signs < 0],
    [np.maximum(restored, audio), np.minimum(restored, audio)],
    audio,
  )


def _quick(audio: np.ndarray, rails: Rails, sample_rate: int) -> np.ndarray:
  """Returns the quick declipper's estimate, as `estimates` does."""
  name = full_band.DECLIPPER
  options = declipping.options_at(name, sample_rate)
  return declipping.declipper(name)(audio, rails, **options)[0][None]


def _add(
  function: chunks.Function,
  inputs: np.ndarray,
  start: np.ndarray,
  rates: tuple[int, int],
) -> np.ndarray:
  """Adds to a declipped recording what a network of another rate adds to it.

  Args:
    function: the network.
    inputs: `[batch, time, …]` of audio, signs and estimates as channels.
    start: the declipped recording, `[batch, time, 1]`.
    rates: sample rates of the inputs and of the network.
  """
  moved = _resample(inputs, *rates)
  signs = moved[..., 1]
  moved[..., 1] = np.where(np.abs(signs) > _CLIPPED, np.sign(signs), 0.0)
  added = _resample(function(moved) - _resample(start, *rates), *rates[::-1])
  time = inputs.shape[1]
  missing = max(0, time - added.shape[1])  # to the rounding of lengths
  return start + np.pad(added, ((0, 0), (0, missing), (0, 0)))[:, :time]


def _resample(audio: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
  """Resamples `[batch, time, channels]`."""
  batch, time, channels = audio.shape
  flat = audio.swapaxes(0, 1).reshape(time, -1)
  moved = resample(np.ascontiguousarray(flat), rate_in, rate_out)
  return moved.reshape(-1, batch, channels).swapaxes(0, 1)


def _one_by_one(audio: np.ndarray) -> np.ndarray:
  """Returns `[batch, time, channels]` as `[batch * channels, time, 1]`."""
  return audio.swapaxes(1, 2).reshape(-1, audio.shape[1], 1)


def _check_rate(source: Path, rate: int, own_rate: int) -> None:
  """Warns of another rate than the network's; refuses one that is far off."""
  if not own_rate <= rate * _MOST_TIMES <= own_rate * _MOST_TIMES**2:
    raise UserError(
      f"{source}: has {rate} Hz, too far from the network's {own_rate}; "
      "resample it, or use --method=best"
    )
  if rate != own_rate:
    log.logger.warning(
      "%s: has %d Hz, and the network was trained at %d; --method=best may be "
      "better",
      source,
      rate,
      own_rate,
    )


def restore_file(
  source: Path,
  target: Path,
  workdir: Path,
  config: ml_collections.ConfigDict,
  *,
  band: str = full_band.FULL,
  clipping: Survey | None = None,
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> Outcome:
  """Restores one audio file; arguments and result: see `declip.declip_file`."""
  if band == full_band.MODEL:
    raise UserError(
      f"--band={band}: this network changes clipped samples only, the others "
      "have the recording's band; leave it out"
    )
  info = files.info(source)
  form = {"dither": dither, "finish": finish}
  subtype = output.choose_subtype(target, info, subtype, **form)
  _check_rate(source, info.sample_rate, config.data.sample_rate)
  restorer = load(workdir, config, sample_rate=info.sample_rate)
  clipping = clipping or survey(source)

  def restored(reader: files.Reader) -> Iterator[np.ndarray]:
    blocks = declip.restored_blocks(
      reader, restorer, clipping, network.chunking(config, info.sample_rate)
    )
    return output.show_progress(blocks, reader.frames)

  note, found = "", {}
  if info.sample_rate > config.data.sample_rate and clipping.count:
    declippers = config.model.get("declippers", {})
    above = f"what {full_band.DECLIPPER} makes of it"
    if declippers:
      above = f"the mean of {', '.join(declippers)}"
    note, found = full_band.describe(config.data.sample_rate, above)
  line, clipped = declip.write_restored(
    source, target, clipping, restored, lambda: note, subtype=subtype, **form
  )
  return Outcome(line, clipped | found)
