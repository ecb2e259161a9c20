"""Several declippers' results side by side, as a network's inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from distortion_removal.declipping import declipper
from distortion_removal.declipping.clip_level import ClipLevel
from distortion_removal.declipping.means import frames_and_hops


def estimates(
  audio: np.ndarray,
  clip_level: ClipLevel,
  declippers: Mapping[str, Mapping[str, Any]],
  *,
  octaves: float = 0.0,
) -> np.ndarray:
  """Declips audio by each declipper with each of its `frames`.

  Args:
    audio: `[batch, time, channels]`.
    clip_level: see `resolve_rails`.
    declippers: options by name; `frames` gives one estimate each.
    octaves: sample rate over that which the options are meant for, as log2;
      frames are doubled or halved for each.

  Returns:
    `[estimates, batch, time, channels]`.
  """
  factor = 2.0 ** round(octaves)
  results = []
  for name, options in declippers.items():
    shared = dict(options)
    shared.pop("frames", None)
    if "s" in shared:  # A-SPADE's step grows with the frame.
      shared["s"] = max(1, round(shared["s"] * factor))
    for frame, hop in frames_and_hops(options):
      sizes = {"frame": round(frame * factor), "hop": round(hop * factor)}
      results.append(declipper(name)(audio, clip_level, **shared | sizes)[0])
  return np.stack(results) if results else np.empty((0, *audio.shape))


def count(declippers: Mapping[str, Mapping[str, Any]]) -> int:
  """Returns the number of `estimates`."""
  return sum(len(frames_and_hops(options)) for options in declippers.values())
