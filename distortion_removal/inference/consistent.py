"""Restores clipped audio with a network that is told where it is clipped.

Declippers' estimates, for a network that corrects them, are computed on the
fly, as those of the training pairs were, a chunk at a time. Reliable samples
stay as they are, to the bit, and so do rate, level and a DC offset.

Resampling blurs what is clipped. So with a recording of another rate than the
network's, the estimates are computed at the recording's rate, and what goes
back to it is not the network's output, but only what it adds to their mean.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from distortion_removal.audio import chunks, files
from distortion_removal.audio.resampling import resample
from distortion_removal.common import log
from distortion_removal.declipping.clip_level import (
  Rails,
  clip_signs,
  farther_rails,
)
from distortion_removal.declipping.estimates import estimates
from distortion_removal.inference import declip, network, output
from distortion_removal.inference.clipping import survey
from distortion_removal.inference.finish import AS_IT_IS, Finish
from distortion_removal.inference.output import Outcome

# Resampled marks, from 0 to 1, above which a sample counts as clipped.
_CLIPPED = 0.5


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
  found = estimates(
    scaled,
    Rails(low, high, marks),
    declippers,
    octaves=math.log2(rates[0] / rates[1]),
  )
  inputs = np.concatenate([scaled, _one_by_one(signs), *found], axis=-1)
  restored = _apply(function, np.float32(inputs), *rates)
  restored = restored.reshape(len(audio), -1, audio.shape[1]).swapaxes(1, 2)
  restored = (restored * unit[:, None]).astype(audio.dtype)
  return np.select(
    [signs > 0, signs < 0],
    [np.maximum(restored, audio), np.minimum(restored, audio)],
    audio,
  )


def _apply(
  function: chunks.Function, inputs: np.ndarray, rate: int, own_rate: int
) -> np.ndarray:
  """Applies a network; with another rate, only what it adds to its estimates.

  Args:
    function: the network.
    inputs: `[batch, time, …]` of audio, signs and estimates as channels.
    rate: sample rate of the inputs.
    own_rate: sample rate of the network.
  """
  if rate == own_rate:
    return function(inputs)
  moved = _resample(inputs, rate, own_rate)
  signs = moved[..., 1]
  moved[..., 1] = np.where(np.abs(signs) > _CLIPPED, np.sign(signs), 0.0)
  added = _resample(function(moved) - _start(moved), own_rate, rate)
  time = inputs.shape[1]
  missing = max(0, time - added.shape[1])  # to the rounding of lengths
  added = np.pad(added, ((0, 0), (0, missing), (0, 0)))[:, :time]
  return _start(inputs) + added


def _start(inputs: np.ndarray) -> np.ndarray:
  """Returns the mean of the estimates, or the audio where there are none."""
  known = inputs[..., 2:] if inputs.shape[-1] > 2 else inputs[..., :1]
  return known.mean(axis=-1, keepdims=True)


def _resample(audio: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
  """Resamples `[batch, time, channels]`."""
  batch, time, channels = audio.shape
  flat = audio.swapaxes(0, 1).reshape(time, -1)
  moved = resample(np.ascontiguousarray(flat), rate_in, rate_out)
  return moved.reshape(-1, batch, channels).swapaxes(0, 1)


def _one_by_one(audio: np.ndarray) -> np.ndarray:
  """Returns `[batch, time, channels]` as `[batch * channels, time, 1]`."""
  return audio.swapaxes(1, 2).reshape(-1, audio.shape[1], 1)


def restore_file(
  source: Path,
  target: Path,
  workdir: Path,
  config: ml_collections.ConfigDict,
  *,
  subtype: str | None = None,
  dither: bool = False,
  finish: Finish = AS_IT_IS,
) -> Outcome:
  """Restores one audio file; arguments and result: see `declip.declip_file`."""
  info = files.info(source)
  form = {"dither": dither, "finish": finish}
  subtype = output.choose_subtype(target, info, subtype, **form)
  if info.sample_rate != config.data.sample_rate:
    log.logger.warning(
      "%s: has %d Hz, and the network was trained at %d; --method=best may be "
      "better",
      source,
      info.sample_rate,
      config.data.sample_rate,
    )
  restorer = load(workdir, config, sample_rate=info.sample_rate)
  clipping = survey(source)

  def restored(reader: files.Reader) -> Iterator[np.ndarray]:
    blocks = declip.restored_blocks(
      reader, restorer, clipping, network.chunking(config, info.sample_rate)
    )
    return output.show_progress(blocks, reader.frames)

  return declip.write_restored(
    source, target, clipping, restored, subtype=subtype, **form
  )
