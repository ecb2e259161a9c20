"""Restores clipped audio with a network that is told where it is clipped.

Declippers' estimates, for a network that corrects them, are computed on the
fly, as those of the training pairs were, a chunk at a time. Reliable samples
stay as they are, to the bit, and so do rate, level and a DC offset. The network
reads clipped samples, which resampling would blur: it takes recordings of its
own rate only.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from distortion_removal.audio import chunks, files
from distortion_removal.common import log
from distortion_removal.common.errors import UserError
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


def load(
  source: Path, config: ml_collections.ConfigDict, batch: int | None = None
) -> declip.Restorer:
  """Loads a trained network; arguments: see `network.load_network`."""
  return functools.partial(
    restore,
    function=network.load_network(source, config, batch),
    declippers=config.model.get("declippers", {}),
  )


def restore(
  audio: np.ndarray,
  rails: Rails,
  *,
  function: chunks.Function,
  declippers: Mapping[str, Mapping[str, Any]],
) -> np.ndarray:
  """Restores clipped samples; the others stay as they are.

  Args:
    audio: `[batch, time, channels]`; channels are restored one by one.
    rails: where it is clipped.
    function: network of one channel, see `models.consistency`.
    declippers: options of those whose estimates it is given, by name.
  """
  signs = clip_signs(audio, rails)
  if not signs.any():
    return audio
  unit = farther_rails(rails)
  scaled = _one_by_one(np.float32(audio / unit[:, None]))
  marks = None if rails.marks is None else _one_by_one(rails.marks)
  low, high = (np.reshape(rail / unit, (-1, 1)) for rail in rails[:2])
  found = estimates(scaled, Rails(low, high, marks), declippers)
  inputs = np.concatenate([scaled, _one_by_one(signs), *found], axis=-1)
  restored = function(np.float32(inputs))
  restored = restored.reshape(len(audio), -1, audio.shape[1]).swapaxes(1, 2)
  restored = (restored * unit[:, None]).astype(audio.dtype)
  return np.select(
    [signs > 0, signs < 0],
    [np.maximum(restored, audio), np.minimum(restored, audio)],
    audio,
  )


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
  info, rate = files.info(source), config.data.sample_rate
  if info.sample_rate != rate:
    raise UserError(
      f"{source}: has {info.sample_rate} Hz; this network reads clipped "
      f"samples, which resampling blurs, and takes {rate} Hz only; use "
      "--method=best"
    )
  form = {"dither": dither, "finish": finish}
  subtype = output.choose_subtype(target, info, subtype, **form)
  restorer = load(workdir, config)
  clipping = survey(source)
  found = clipping.as_json(info.frames * info.channels)
  if not clipping.count:
    line = declip.copy(info, target, clipping, subtype=subtype, **form)
    return Outcome(line, found)
  line = declip.describe(clipping, info)
  log.logger.info("%s: %s", source, line)
  with files.open_reader(source) as reader:
    blocks = declip.restored_blocks(
      reader, restorer, clipping, network.chunking(config)
    )
    blocks = output.show_progress(blocks, reader.frames)
    overflow = output.write_by_way_of_scratch(
      target,
      blocks,
      reader,
      subtype=subtype,
      dtype="float64",
      rails=clipping.rails,
      **form,
    )
  line = "; ".join(filter(None, (line, overflow, clipping.note)))
  return Outcome(line, found)
